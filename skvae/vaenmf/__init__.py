"""Speech from a variational autoencoder, noise from NMF: one file per inference.

The model of all of them, frames first: each bin of the mixture is complex Gaussian,

    x ~ N_c(0, g sigma^2(z) + (H W)),    z ~ N(0, I),

with the decoder's variance sigma^2 (N, F) of latent variables z (N, L), a gain g (N,)
of each frame, and the noise's activations H (N, K) and bases W (K, F).

Everything may have a leading dimension of B utterances, padded to N frames, each with
bases of its own; :attr:`~skvae.vaenmf.model.Noise.frames` then says which
frames are the utterances'. What is found in the others means nothing, and nothing else
depends on what is there, if encoder and decoder do not read it.
"""
