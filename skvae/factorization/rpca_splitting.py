"""Robust principal component analysis of a magnitude spectrogram.

Model: ``M = L + S``, a low-rank part plus a sparse part, found by principal component
pursuit [1]_: minimise ``||L||_* + lam ||S||_1`` subject to ``L + S = M``. Noise that
repeats itself is of low rank, speech is sparse [2]_. The solver is the inexact
augmented Lagrange multiplier method, Algorithm 5 of [3]_, with its constants.

Different from [3]_: S is updated before L, all is computed in float64 on a matrix
scaled to a maximum of one, and singular vectors come from the smaller Gram matrix
wherever that is accurate.

References
----------
.. [1] E. J. Candès, X. Li, Y. Ma, J. Wright, "Robust principal component analysis?",
       Journal of the ACM 58(3), 2011.
.. [2] P.-S. Huang, S. D. Chen, P. Smaragdis, M. Hasegawa-Johnson, "Singing-voice
       separation from monaural recordings using robust principal component
       analysis", ICASSP 2012.
.. [3] Z. Lin, M. Chen, Y. Ma, "The augmented Lagrange multiplier method for exact
       recovery of corrupted low-rank matrices", arXiv:1009.5055, 2010.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

#: First penalty, in units of 1 / ||M||_2 [3].
MU_START = 1.25
#: Growth of the penalty per iteration [3].
RHO = 1.5
#: The penalty stops growing at this multiple of its start [3].
MU_GROWTH_MAX = 1e7
#: A squared threshold must exceed the rounding of the Gram matrix this many times.
GRAM_MARGIN = 10.0


class RobustPCA(NamedTuple):
    """What :func:`rpca` returns.

    Attributes
    ----------
    L : ndarray of shape (N, F)
        The low-rank part: the noise.
    S : ndarray of shape (N, F)
        The sparse part: the speech.
    history : list of float
        ``||M - L - S||_F / ||M||_F`` after each iteration.
    n_iter : int
        Number of iterations, 0 for an all-zero matrix.
    """

    L: np.ndarray
    S: np.ndarray
    history: list[float]
    n_iter: int


def soft_threshold(X: np.ndarray, threshold: float) -> np.ndarray:
    r"""Shrink every element towards zero: the proximal operator of the l1 norm.

    Parameters
    ----------
    X : ndarray of float
        Any real array.
    threshold : float
        Not negative. Elements of smaller magnitude become zero.

    Returns
    -------
    ndarray
        :math:`\operatorname{sign}(x) \max(|x| - \tau, 0)`, element by element.

    Examples
    --------
    >>> import numpy as np
    >>> soft_threshold(np.array([-3.0, 0.5, 2.0]), 1.0)
    array([-2.,  0.,  1.])
    """
    return X - np.clip(X, -threshold, threshold)


def singular_value_threshold(X: np.ndarray, threshold: float) -> np.ndarray:
    r"""Shrink the singular values: the proximal operator of the nuclear norm.

    Parameters
    ----------
    X : ndarray of shape (N, F)
        Any real matrix.
    threshold : float
        Not negative. Directions of smaller singular value vanish.

    Returns
    -------
    ndarray of shape (N, F)
        :math:`U \max(\Sigma - \tau, 0) V^\top` with :math:`X = U \Sigma V^\top`.

    Notes
    -----
    :math:`X V_r (I - \tau \Sigma_r^{-1}) V_r^\top` is the same matrix and needs
    only the eigenvectors of :math:`X^\top X` whose eigenvalues exceed
    :math:`\tau^2`: half the time. Rounding moves eigenvalues by about
    :math:`\epsilon \|X\|^2`, so a smaller :math:`\tau^2` takes the singular value
    decomposition instead.

    Examples
    --------
    >>> import numpy as np
    >>> singular_value_threshold(np.diag([3.0, 0.5]), 1.0)
    array([[2., 0.],
           [0., 0.]])
    """
    if X.shape[0] < X.shape[1]:
        return singular_value_threshold(X.T, threshold).T
    gram = X.T @ X
    rounding = np.finfo(gram.dtype).eps * np.trace(gram)
    if threshold**2 <= GRAM_MARGIN * rounding:
        U, sigma, Vt = linalg.svd(X, full_matrices=False, check_finite=False)
        return (U * np.maximum(sigma - threshold, 0)) @ Vt
    squares, vectors = linalg.eigh(gram, driver="evd", check_finite=False)
    kept = squares > threshold**2
    vectors = vectors[:, kept]
    shrinkage = 1 - threshold / np.sqrt(squares[kept])
    return ((X @ vectors) * shrinkage) @ vectors.T


def rpca(
    M: np.ndarray,
    lam: float | None = None,
    *,
    tol: float = 1e-7,
    max_iter: int = 200,
    rho: float = RHO,
) -> RobustPCA:
    r"""Split a matrix into a low-rank and a sparse part.

    Parameters
    ----------
    M : ndarray of shape (N, F)
        Magnitude spectrogram, or any finite real matrix.
    lam : float, optional
        Weight of the sparse part's l1 norm; larger leaves more in the low-rank part.
        None is :math:`1 / \sqrt{\max(N, F)}` [1]_.
    tol : float
        Iterations end when :math:`\|M - L - S\|_F \le tol \, \|M\|_F`.
    max_iter : int
        They end after this many in any case.
    rho : float
        Growth of the penalty per iteration, above 1. The default of [2]_ ends within
        about 0.1 % of the optimal objective; 1.1 comes a few hundred times closer in
        three times as many iterations.

    Returns
    -------
    RobustPCA
        ``L``, ``S``, ``history``, ``n_iter``; the arrays in the dtype of M. They scale
        with M.

    Raises
    ------
    ValueError
        If M is not a non-empty, finite, real matrix, or a parameter is out of range.

    References
    ----------
    .. [1] E. J. Candès, X. Li, Y. Ma, J. Wright, "Robust principal component
           analysis?", Journal of the ACM 58(3), 2011.
    .. [2] Z. Lin, M. Chen, Y. Ma, "The augmented Lagrange multiplier method for exact
           recovery of corrupted low-rank matrices", arXiv:1009.5055, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> M = np.ones((20, 20))
    >>> M[3, 7] = 5.0
    >>> L, S, history, n_iter = rpca(M)
    >>> round(float(S[3, 7]), 3), round(float(L[3, 7]), 3)
    (4.0, 1.0)
    """
    M = np.asarray(M)
    if M.ndim != 2 or M.size == 0:
        raise ValueError(f"M must have shape (N, F), not empty, got {M.shape}.")
    if np.iscomplexobj(M):
        raise ValueError("M must be real, got complex numbers: pass the magnitude.")
    if lam is None:
        lam = 1 / np.sqrt(max(M.shape))
    if not lam > 0:
        raise ValueError(f"lam must be positive, got {lam}.")
    if max_iter < 1:
        raise ValueError(f"max_iter must be at least 1, got {max_iter}.")
    if not rho > 1:
        raise ValueError(f"rho must be above 1, got {rho}.")
    dtype = M.dtype if M.dtype.kind == "f" else np.dtype(np.float64)
    peak = float(np.abs(M).max())
    if not np.isfinite(peak):
        raise ValueError("M must be finite, but it contains NaN or inf.")
    if peak == 0:
        return RobustPCA(np.zeros(M.shape, dtype), np.zeros(M.shape, dtype), [], 0)

    D = M.astype(np.float64) / peak  # of maximum one, so nothing over- or underflows
    spectral = _spectral_norm(D)
    Y = D / max(spectral, 1 / lam)  # D / J(D), section 3.1 of [3]; max |D| is one
    mu = MU_START / spectral
    mu_max = mu * MU_GROWTH_MAX
    L = np.zeros_like(D)
    target = np.linalg.norm(D)
    history: list[float] = []
    while len(history) < max_iter:
        Y_mu = Y / mu
        S = soft_threshold(D - L + Y_mu, lam / mu)
        L = singular_value_threshold(D - S + Y_mu, 1 / mu)
        residual = D - L - S
        Y += mu * residual
        mu = min(rho * mu, mu_max)
        history.append(float(np.linalg.norm(residual) / target))
        if history[-1] <= tol:
            break
    L *= peak
    S *= peak
    return RobustPCA(
        L.astype(dtype, copy=False), S.astype(dtype, copy=False), history, len(history)
    )


def rpca_mask(
    L: np.ndarray, S: np.ndarray, kind: str = "binary", gain: float = 1.0
) -> np.ndarray:
    """Mask that keeps the sparse part.

    Parameters
    ----------
    L, S : ndarray of shape (N, F)
        Low-rank and sparse part, of any sign.
    kind : {"binary", "soft"}
        ``|S| > gain |L|``, or ``|S| / (|S| + gain |L|)``.
    gain : float
        Not negative; larger suppresses more.

    Returns
    -------
    ndarray of shape (N, F)
        Values in [0, 1]. Where both parts are zero, so is the spectrogram: a binary
        mask is 0 there and a soft one 0.5.

    Raises
    ------
    ValueError
        If `kind` is unknown or `gain` negative.

    Examples
    --------
    >>> import numpy as np
    >>> rpca_mask(np.array([[1.0, 1.0]]), np.array([[3.0, -0.5]]))
    array([[1., 0.]])
    >>> rpca_mask(np.array([[1.0, 0.0]]), np.array([[3.0, 0.0]]), kind="soft")
    array([[0.75, 0.5 ]])
    """
    if not gain >= 0:
        raise ValueError(f"gain must not be negative, got {gain}.")
    noise, speech = gain * np.abs(L), np.abs(S)
    if kind == "binary":
        return (speech > noise).astype(speech.dtype)
    if kind == "soft":
        total = speech + noise
        half = np.full_like(total, 0.5)
        return np.divide(speech, total, out=half, where=total > 0)
    raise ValueError(f'kind must be "binary" or "soft", got {kind!r}.')


def _spectral_norm(X: np.ndarray) -> float:
    """Largest singular value: the root of the smaller Gram matrix's top eigenvalue."""
    gram = X @ X.T if X.shape[0] < X.shape[1] else X.T @ X
    top = len(gram) - 1
    square = linalg.eigh(gram, eigvals_only=True, subset_by_index=(top, top))
    return float(np.sqrt(square[0]))
