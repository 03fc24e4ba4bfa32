"""Robust principal component analysis of a magnitude spectrogram.

Model: ``M = L + S``, a low-rank part plus a sparse part, found by principal component
pursuit [1]_: minimize ``||L||_* + lam ||S||_1`` subject to ``L + S = M``. Repeating
noise has low rank, speech is sparse [2]_. The solver is the inexact augmented Lagrange
multiplier method, Algorithm 5 of [3]_, with its constants.

Different from [3]_: S is updated before L; all computations are in float64, on a matrix
scaled to a maximum of one; and singular vectors come from the smaller Gram matrix
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
#: Least ratio of a squared threshold to the rounding error of the Gram matrix.
GRAM_MARGIN = 10.0


class RobustPCA(NamedTuple):
    """Result of :func:`rpca`.

    Attributes
    ----------
    L : ndarray of shape (N, F)
        Low-rank part: the noise.
    S : ndarray of shape (N, F)
        Sparse part: the speech.
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
        Threshold, not negative. Elements of smaller magnitude become zero.

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
        Threshold, not negative. Smaller singular values become zero.

    Returns
    -------
    ndarray of shape (N, F)
        :math:`U \max(\Sigma - \tau, 0) V^\top` with :math:`X = U \Sigma V^\top`.

    Notes
    -----
    :math:`X V_r (I - \tau \Sigma_r^{-1}) V_r^\top` is the same matrix. It needs only
    the eigenvectors of :math:`X^\top X` whose eigenvalues exceed :math:`\tau^2`, which
    takes half the time. Rounding changes eigenvalues by about
    :math:`\epsilon \|X\|^2`, so for a smaller :math:`\tau^2` the singular value
    decomposition is computed instead.

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
        Weight of the sparse part's l1 norm. Larger values leave more in the low-rank
        part. None means :math:`1 / \sqrt{\max(N, F)}` [1]_.
    tol : float
        Tolerance: iterations stop when :math:`\|M - L - S\|_F \le tol \, \|M\|_F`.
    max_iter : int
        Maximum number of iterations.
    rho : float
        Growth of the penalty per iteration, above 1. With the default, which is that of
        [2]_, the objective is within about 0.1 % of the optimum. With 1.1 it is a few
        hundred times closer, after three times as many iterations.

    Returns
    -------
    RobustPCA
        ``L``, ``S``, ``history``, ``n_iter``; the arrays in the dtype of M. A factor in
        M is a factor in both.

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
    if lam is None:
        lam = 1 / np.sqrt(max(M.shape))
    dtype = M.dtype if M.dtype.kind == "f" else np.dtype(np.float64)
    peak = float(np.abs(M).max())
    if peak == 0:
        return RobustPCA(np.zeros(M.shape, dtype), np.zeros(M.shape, dtype), [], 0)

    D = M.astype(np.float64) / peak  # maximum one: no overflow, no underflow
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
    """Compute a mask that keeps the sparse part.

    Parameters
    ----------
    L, S : ndarray of shape (N, F)
        Low-rank part and sparse part, of any sign.
    kind : {"binary", "soft"}
        ``|S| > gain |L|``, or ``|S| / (|S| + gain |L|)``.
    gain : float
        Weight of the low-rank part, not negative. Larger values remove more.

    Returns
    -------
    ndarray of shape (N, F)
        Values in [0, 1]. Where both parts are zero, and so is the spectrogram, a binary
        mask is 0 and a soft one 0.5.

    Examples
    --------
    >>> import numpy as np
    >>> rpca_mask(np.array([[1.0, 1.0]]), np.array([[3.0, -0.5]]))
    array([[1., 0.]])
    >>> rpca_mask(np.array([[1.0, 0.0]]), np.array([[3.0, 0.0]]), kind="soft")
    array([[0.75, 0.5 ]])
    """
    noise, speech = gain * np.abs(L), np.abs(S)
    if kind == "binary":
        return (speech > noise).astype(speech.dtype)
    total = speech + noise
    half = np.full_like(total, 0.5)
    return np.divide(speech, total, out=half, where=total > 0)


def _spectral_norm(X: np.ndarray) -> float:
    """Largest singular value: root of the top eigenvalue of the smaller Gram matrix."""
    gram = X @ X.T if X.shape[0] < X.shape[1] else X.T @ X
    top = len(gram) - 1
    square = linalg.eigh(gram, eigvals_only=True, subset_by_index=(top, top))
    return float(np.sqrt(square[0]))
