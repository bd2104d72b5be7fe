"""From a request to the domain and back to the reply; every exception becomes a reply here.

`requests` serves the CTDB dialect and hands calls of the native one to `methods`; `domain` is what both work on.
"""
