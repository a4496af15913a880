"""Disturb the real command at random, let it finish, and ask the simulator's log what was paid.

    python -m bench.chaos --kills 300 --seed 1 [--only SCENARIO] [--workers 2] [--keep FOLDER]

Works in rounds. A round has a fresh ledger, a simulator that fails too, some dozens of jobs, one mode, and a scenario
drawn from the seed: the command is killed, stopped, interrupted, met by another host, or loses its clock, its ledger, its
results folder or its answers. Then it is left to finish in quiet conditions. Rounds go on until there were as many
kills as asked for. Prints one JSON line:

    seed             of the first round; the next ones have the numbers after it
    kills            commands ended by a signal, and killed PostgreSQL servers
    scenarios        rounds by scenario
    jobs             jobs of all rounds
    lost             jobs without an outcome, or answered without an answer in the ledger or in the results
    paid_twice       bills beyond one per job
    holds_leaked     attempts that hold money after their end, open attempts, and windows that differ from their sums
    overspend_usd    what was billed beyond a round's day budget
    thrown_away      bills that the ledger neither has as a cost nor holds money for
    unknown          attempts that may be billed and wait for a person (never sent again)
    deferred         jobs that found no money in rounds which have too little on purpose
    verify_failures  rounds whose ledger `weighbridge verify` objects to
    wrong            a sentence for each round in which something was wrong
    seconds          of all rounds

The exit code is 1 unless lost, paid_twice, holds_leaked, overspend_usd, thrown_away and verify_failures are 0 and there
is nothing wrong. A round is played again by its own seed: `--seed N --kills 1 --only SCENARIO`. What is drawn is the
same then; what the machine makes of it is a matter of instants.
"""
