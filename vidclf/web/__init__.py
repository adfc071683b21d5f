"""The web page of a running pipeline: what it shows, who may see it, and the server that sends it."""
