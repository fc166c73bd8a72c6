"""A worker whose training says no more before its last epoch fails its trial, and does not die."""

from simulated import epoch

from search.runner import CandidateTrainable
from trainers.messages import Failed


def test_answers_that_run_out_are_a_failure() -> None:
    worker = CandidateTrainable.__new__(CandidateTrainable)
    worker._answers = iter([epoch(1, 0.5)])
    assert worker.step()["answer"] == epoch(1, 0.5)
    failed = worker.step()["answer"]
    assert isinstance(failed, Failed)
    assert failed.reason == "the training ended before its last epoch"
