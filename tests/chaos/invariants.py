"""What must be true after any fault."""

from tests.chaos import judging_answers, judging_calls, judging_processes
from tests.chaos.attempts import calls_that_are_not_counted
from tests.chaos.evidence import Evidence
from tests.chaos.totals import totals_equal_answers
from tests.chaos.violation import Check, Violation


def violations(evidence: Evidence) -> list[Violation]:
    """Every invariant that does not hold."""
    found = ((name, tuple(check(evidence))) for name, check in INVARIANTS.items())
    return [Violation(name, details) for name, details in found if details]


INVARIANTS: dict[str, Check] = {
    "every fault struck while enough calls were in flight": judging_processes.faults_struck,
    "every offered job was accepted": judging_answers.every_offer_accepted,
    "every accepted job has a result, or the end its caller asked for (0 lost)": judging_answers.lost,
    "the stored answer is the job's own": judging_answers.own_answer,
    "a stored answer never changes (0 changed)": judging_answers.changed,
    "who waited got the stored answer": judging_answers.who_waited_got_the_stored_answer,
    "who waits is told within 5 s of the result": judging_answers.who_waits_is_told,
    "only jobs whose call was cut are called again, once a cut": judging_calls.only_cut_calls_are_repeated,
    "no more calls than jobs and cut calls": judging_calls.no_more_calls_than_jobs_and_cuts,
    "a job with on_unknown: fail is never called twice": judging_calls.fail_on_unknown_is_called_once,
    "no job is called after its deadline": judging_calls.no_call_after_the_deadline,
    "a job called twice says possible_duplicate_charge": judging_calls.surplus_is_flagged,
    "no other job says possible_duplicate_charge": judging_calls.nothing_else_is_flagged,
    "every call is counted in its result's attempts": calls_that_are_not_counted,
    "the totals of /stats equal the answers": totals_equal_answers,
    "the provider was asked about nothing else": judging_calls.calls_belong_to_jobs,
    "no job waits more than 45 s a fault for its first call": judging_calls.nobody_waits_for_nothing,
    "at the end every record is committed": judging_processes.everything_committed,
    "who is told to leave exits with 0": judging_processes.who_leaves_leaves_in_peace,
    "no process logged an error": judging_processes.no_fault_of_ours,
    "no process grows while the load is steady": judging_processes.memory_is_bounded,
}
