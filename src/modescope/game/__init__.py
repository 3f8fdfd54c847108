"""GAN vs Human: a page on which a person draws against a generator, and the judge of study 3 decides."""
