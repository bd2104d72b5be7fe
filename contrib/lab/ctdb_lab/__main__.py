"""For trying out."""
