"""Models that leave the repository: their files, the cards that say what they are, and those that come with it."""
