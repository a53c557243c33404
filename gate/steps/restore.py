"""Restore: a backup becomes a database beside the live one, is compared, takes its name, and must carry what
serves."""

from __future__ import annotations

import time

from gate.database.restoring import Restoring, server_of
from gate.deployment.run import Facts, Run
from gate.results import Severity
from gate.steps.base import Step, StepFailed
from gate.steps.smoke import judge


class Beside(Step):
    """Restores the backup into a database of its own. Its undo drops that."""

    name = "restore beside"

    def intend(self, run: Run) -> Facts:
        from gate.database import swap

        names = _wanted(run).names(run.candidate_id)
        for role in ("beside", "kept", "gone"):
            # Left by another life of these records, or another gate's: it is neither dropped nor taken for ours.
            if swap.oid(server_of(run.environment), names[role]) is not None:
                raise StepFailed(
                    f"database {names[role]} is there already: rename it, or drop it once nothing of it is wanted"
                )
        return names

    def do(self, run: Run, facts: Facts) -> str:
        from gate.database import backup, dump, swap
        from gate.database.connection import connect

        wanted, server = _wanted(run), server_of(run.environment)
        made, began = wanted.backup, time.monotonic()
        backup.check_file(made)
        place = swap.at(server, facts["beside"])
        with backup.as_dump(made, run.environment, run.view.progress) as (file, made):
            swap.make_beside(server, facts["live"], facts["beside"])
            dump.restore(
                file,
                place,
                private=False,
                tick=lambda: run.view.progress(f"restoring, {time.monotonic() - began:.0f} s"),
            )
        with connect(place, statement_timeout=dump.TIMEOUT) as connection:
            backup.compare(made, place, connection.info.server_version // 10000, run.view.progress)
            run.view.progress("gathering statistics")
            connection.execute("ANALYZE")  # without them every query after the swap would be planned blindly
        rows = sum(table.rows for table in made.tables.values())
        return f"{facts['beside']}: {len(made.tables)} tables, {rows} rows equal to {made.id}"

    def undo(self, run: Run, facts: Facts) -> str:
        from gate.database import swap

        return f"{facts['beside']} dropped" if swap.drop(server_of(run.environment), facts["beside"]) else ""


class Swap(Step):
    """Gives the restored database the live one's name, in one transaction. Its undo gives the names back."""

    name = "swap"

    def intend(self, run: Run) -> Facts:
        from gate.database import swap

        names = _wanted(run).names(run.candidate_id)
        return names | {"was": swap.oid(server_of(run.environment), names["live"])}

    def do(self, run: Run, facts: Facts) -> str:
        from gate.database import swap

        server = server_of(run.environment)
        spent = swap.swap(server, live=facts["live"], comes=facts["beside"], leaves=facts["kept"])
        run.note(f"{facts['kept']} is the database as it was: drop it once nothing of it is wanted any more")
        if run.environment.cache is not None:
            run.note("the cache was left as it is: what it remembers may be younger than the restored data")
        return f"every session ended and both names changed in {spent * 1000:.0f} ms"

    def undo(self, run: Run, facts: Facts) -> str:
        from gate.database import swap

        server = server_of(run.environment)
        if facts["was"] is None or swap.oid(server, facts["kept"]) != facts["was"]:
            return ""  # both names change together: they did not, whatever has the other name
        swap.swap(server, live=facts["live"], comes=facts["kept"], leaves=facts["gone"])
        run.note(f"{facts['gone']} is the database that was restored, with what was written to it: drop it once read")
        return f"{facts['live']} is the database it was"


class Prove(Step):
    """The release that serves must pass its critical smoke tests on the restored data."""

    name = "prove"

    def do(self, run: Run, facts: Facts) -> str:
        return f"critical: {judge(run, 'restored', [Severity.CRITICAL])} on {run.release.version}"


def _wanted(run: Run) -> Restoring:
    if run.restoring is None:
        raise StepFailed("no backup was chosen")
    return run.restoring
