"""Checks that every enhancer must pass, including those that you write yourself.

They complement :func:`sklearn.utils.estimator_checks.check_estimator`, which knows
nothing of lists of waveforms. Each check takes an unfitted enhancer, leaves it
unchanged, and raises an AssertionError that says which property does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import clone

from skvae.evaluation.estimator_checks.errors import (
    check_errors_name_the_collection,
    check_errors_name_the_pair,
    check_errors_name_the_sample_rate,
    check_errors_name_the_utterance,
)
from skvae.evaluation.estimator_checks.kinds import (
    check_array_gives_array,
    check_dtypes_are_kept,
    check_kind_may_change,
    check_lengths_are_kept,
    check_list_gives_list,
    check_recordings_read_themselves,
    check_spectrograms_equal_waveforms,
    check_spectrograms_give_spectrograms,
    check_tables_are_refused,
)
from skvae.evaluation.estimator_checks.repetition import (
    check_company_changes_nothing,
    check_fit_repeats,
    check_global_generators_are_untouched,
    check_inputs_are_untouched,
    check_jobs_change_nothing,
    check_pickle_and_clone,
    check_transform_sets_nothing,
)
from skvae.evaluation.estimator_checks.results import (
    check_attenuation_limit,
    check_blocks_agree_with_the_whole,
    check_channels_keep_their_places,
    check_fit_survives_hostile_recordings,
    check_mask_is_a_share,
    check_output_is_finite,
    check_parts_sum_to_the_input,
    check_score_falls_with_noise,
)

#: All checks, in the order in which :func:`check_enhancer` runs them.
CHECKS: tuple[Callable[[Any], None], ...] = (
    check_list_gives_list,
    check_array_gives_array,
    check_kind_may_change,
    check_spectrograms_give_spectrograms,
    check_spectrograms_equal_waveforms,
    check_lengths_are_kept,
    check_dtypes_are_kept,
    check_output_is_finite,
    check_fit_survives_hostile_recordings,
    check_mask_is_a_share,
    check_parts_sum_to_the_input,
    check_company_changes_nothing,
    check_jobs_change_nothing,
    check_fit_repeats,
    check_score_falls_with_noise,
    check_global_generators_are_untouched,
    check_inputs_are_untouched,
    check_transform_sets_nothing,
    check_pickle_and_clone,
    check_attenuation_limit,
    check_blocks_agree_with_the_whole,
    check_channels_keep_their_places,
    check_errors_name_the_utterance,
    check_errors_name_the_collection,
    check_errors_name_the_pair,
    check_errors_name_the_sample_rate,
    check_recordings_read_themselves,
    check_tables_are_refused,
)

__all__ = [
    "check_enhancer",
    "CHECKS",
    "check_list_gives_list",
    "check_array_gives_array",
    "check_kind_may_change",
    "check_spectrograms_give_spectrograms",
    "check_spectrograms_equal_waveforms",
    "check_lengths_are_kept",
    "check_dtypes_are_kept",
    "check_output_is_finite",
    "check_fit_survives_hostile_recordings",
    "check_mask_is_a_share",
    "check_parts_sum_to_the_input",
    "check_company_changes_nothing",
    "check_jobs_change_nothing",
    "check_fit_repeats",
    "check_score_falls_with_noise",
    "check_global_generators_are_untouched",
    "check_inputs_are_untouched",
    "check_transform_sets_nothing",
    "check_pickle_and_clone",
    "check_attenuation_limit",
    "check_blocks_agree_with_the_whole",
    "check_channels_keep_their_places",
    "check_errors_name_the_utterance",
    "check_errors_name_the_collection",
    "check_errors_name_the_pair",
    "check_errors_name_the_sample_rate",
    "check_recordings_read_themselves",
    "check_tables_are_refused",
]


def check_enhancer(estimator: Any, *, processes: bool = False) -> None:
    """Run all checks of this module.

    Parameters
    ----------
    estimator : BaseEnhancer
        Unfitted, with parameters that make it fast. It is cloned for every check.
    processes : bool, default=False
        Whether to enhance in other processes as well, which takes seconds to start.

    Raises
    ------
    AssertionError
        If a check fails.

    Examples
    --------
    >>> from skvae import STFT, WienerFilter
    >>> from skvae.evaluation.estimator_checks import check_enhancer
    >>> check_enhancer(WienerFilter(stft=STFT(n_fft=256)))
    """
    for check in CHECKS:
        check(clone(estimator))
    if processes:
        check_jobs_change_nothing(clone(estimator), backend="loky")
