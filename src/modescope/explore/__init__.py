"""A page on which one moves through the latent space of a study's generator."""
