"""A cluster of real ctdbd nodes with our event daemon on each: what one node alone can't show."""
