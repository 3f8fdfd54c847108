"""Pages that run networks: packed as int8, computed in the browser, everything in one offline file."""
