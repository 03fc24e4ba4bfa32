"""The fast functions for inference agree with the networks that they come from."""

from __future__ import annotations

import pytest
import torch

from skvae.signal.bandwidth import fill_band
from skvae.speech.fast_prior import fast_prior
from skvae.speech.vae_network import SpeechNetwork, VAEConfig
from skvae.training.networks import new_network

N, F = 9, 7


@pytest.fixture(params=[("tanh", "log"), ("relu", "power"), ("tanh", "both")], ids=str)
def network(request):
    activation, features = request.param
    config = VAEConfig(F, 3, (8, 6), activation=activation, features=features)
    network = new_network(
        SpeechNetwork, config, torch.Generator().manual_seed(0)
    ).double()
    network.feature_mean.copy_(torch.linspace(-3, 1, config.n_features))
    scales = torch.linspace(2.5, 4, max(network.feature_scale.numel(), 1))
    network.feature_scale.copy_(scales.view_as(network.feature_scale))
    return network.requires_grad_(False)


def power(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(N, F, generator=generator, dtype=torch.float64) * 10


def test_the_fast_encoder_is_the_encoder(network):
    V = power()
    before = V.clone()
    for found, wanted in zip(
        fast_prior(network).encode(V), network.encode(V), strict=True
    ):
        torch.testing.assert_close(found, wanted)
    assert torch.equal(V, before)


@pytest.mark.parametrize("edge", [1, 3, F - 1])
def test_of_a_narrow_band_the_encoder_sees_an_image(network, edge):
    V = power()
    filled = torch.from_numpy(fill_band(V.numpy(), edge))
    prior = fast_prior(network, edge=edge)
    for _ in range(2):
        for found, wanted in zip(
            prior.encode(V[:, :edge]), network.encode(filled), strict=True
        ):
            torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("edge", [1, 3, F - 1])
def test_a_narrow_band_is_decoded_as_a_part_of_the_whole(network, edge):
    z = torch.randn(N, 3, generator=torch.Generator().manual_seed(1)).double()
    wanted = network.decode(z)[:, :edge]
    prior = fast_prior(network, edge=edge)
    out = torch.empty(N, edge, dtype=torch.float64)
    torch.testing.assert_close(prior.log_variance(z), wanted)
    torch.testing.assert_close(prior.log_variance(z, out=out), wanted)
    gradient = power()
    gradient[:, edge:] = 0
    _, pullback = fast_prior(network).variance_and_pullback(
        z, torch.empty(N, F).double()
    )
    _, narrow_pullback = prior.variance_and_pullback(z, out)
    torch.testing.assert_close(out, wanted.exp())
    torch.testing.assert_close(narrow_pullback(gradient[:, :edge]), pullback(gradient))


def test_results_of_the_encoder_survive_its_next_call(network):
    prior = fast_prior(network)
    mean, log_variance = prior.encode(power(1))
    kept = mean.clone(), log_variance.clone()
    prior.encode(power(2))
    assert torch.equal(mean, kept[0])
    assert torch.equal(log_variance, kept[1])


def test_the_fast_decoder_is_the_decoder(network):
    z = torch.randn(N, 3, generator=torch.Generator().manual_seed(1)).double()
    prior = fast_prior(network)
    out = torch.empty(N, F, dtype=torch.float64)
    torch.testing.assert_close(prior.log_variance(z, out=out), network.decode(z))
    torch.testing.assert_close(prior.variance(z, out=out), network.decode(z).exp())


def test_the_fast_gradient_is_that_of_automatic_differentiation(network):
    z = torch.randn(N, 3, generator=torch.Generator().manual_seed(1)).double()
    gradient = power()
    fast, slow = (
        prior.variance_and_pullback(z, torch.empty(N, F, dtype=torch.float64))
        for prior in (
            fast_prior(network),
            fast_prior(network).replace(linearise=None),
        )
    )
    torch.testing.assert_close(fast[0], slow[0])
    torch.testing.assert_close(fast[1](gradient), slow[1](gradient))


def test_recurrent_networks_are_taken_as_they_are():
    config = VAEConfig(F, 3, (8,), architecture="bilstm")
    network = new_network(SpeechNetwork, config, torch.Generator().manual_seed(0))
    network.requires_grad_(False)
    prior = fast_prior(network)
    V = power().float()
    for found, wanted in zip(prior.encode(V), network.encode(V), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_functions_of_a_subclass_are_called_as_they_are(network, name):
    class Own(SpeechNetwork):
        pass

    def own(self, x, *args):
        found = getattr(SpeechNetwork, name)(self, x, *args)
        return tuple(part + 1 for part in found) if name == "encode" else found + 1

    setattr(Own, name, own)
    subclass = Own(network.config).to(torch.float64)
    subclass.load_state_dict(network.state_dict())
    subclass.requires_grad_(False)
    prior, V = fast_prior(subclass), power()
    mean, log_variance = prior.encode(V)
    torch.testing.assert_close((mean, log_variance), subclass.encode(V))
    torch.testing.assert_close(prior.log_variance(mean), subclass.decode(mean))


def test_batches_are_their_utterances(network):
    prior = fast_prior(network)
    z = torch.randn(2, N, 3, generator=torch.Generator().manual_seed(1)).double()
    V = torch.stack([power(1), power(2)])
    out = torch.empty_like(V)
    variance, pullback = prior.variance_and_pullback(z, out)
    found = (*prior.encode(V), prior.decode_into(z, V.clone()), variance, pullback(V))
    for b in range(2):
        variance, pullback = prior.variance_and_pullback(z[b], out[0].clone())
        alone = (
            *prior.encode(V[b]),
            prior.decode_into(z[b], V[b].clone()),
            variance,
            pullback(V[b]),
        )
        for one, other in zip(found, alone, strict=True):
            torch.testing.assert_close(one[b], other)


def test_a_recurrent_network_does_not_see_padding():
    config = VAEConfig(F, 3, (8,), "bilstm")
    network = new_network(
        SpeechNetwork, config, torch.Generator().manual_seed(0)
    ).double()
    prior = fast_prior(network, torch.tensor([N, 4]))
    V = torch.stack([power(1), power(2)])
    z, _ = prior.encode(V)
    decoded = prior.decode(z)
    for b, n in enumerate([N, 4]):
        alone, _ = network.encode(V[b, :n])
        torch.testing.assert_close(z[b, :n], alone)
        torch.testing.assert_close(decoded[b, :n], network.decode(alone))
