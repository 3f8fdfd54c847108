"""Images of the user's own: looked at, and put into params.yaml."""
