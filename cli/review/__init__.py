"""`weighbridge review`: the jobs that wait for a person. Each command is imported when it is called."""

from typer.core import TyperGroup

from cli.lazy_command import LazyCommand

_BOOK = "Book what an attempt of unknown outcome cost, so that its hold ends."

review = TyperGroup(
    name="review",
    help="List, show and decide about the jobs that wait for a person.",
    no_args_is_help=True,
    commands=(
        LazyCommand("list", "cli.review.list_reviews:list_reviews", "List the jobs that wait for a person."),
        LazyCommand(
            "show",
            "cli.review.show_review:show_review",
            "Show one review: its weight and price, its limits, and its conversation.",
        ),
        LazyCommand(
            "claim",
            "cli.review.decide_review:claim",
            "Claim reviews, so that nobody else decides about them.",
        ),
        LazyCommand("release", "cli.review.decide_review:release", "Give claimed reviews back."),
        LazyCommand(
            "approve",
            "cli.review.decide_review:approve",
            "Decide that jobs are sent by the next run, up to a ceiling.",
        ),
        LazyCommand("reject", "cli.review.decide_review:reject", "Decide that jobs are not sent."),
        LazyCommand(
            "reopen",
            "cli.review.decide_review:reopen",
            "Take back decisions that no run has acted on yet.",
        ),
        LazyCommand(
            "edit",
            "cli.review.edit_review:edit_review",
            "Change what is sent, count and price it again, and decide that it is sent.",
        ),
        LazyCommand(
            "accept",
            "cli.review.accept_review:accept",
            "Make what came and could not be read the answer of its job.",
        ),
        LazyCommand("book", "cli.review.decide_review:book", _BOOK),
        LazyCommand(
            "holds",
            "cli.review.list_holds:list_holds",
            "List the money that is held for attempts of unknown outcome.",
        ),
        LazyCommand("settle", "cli.review.decide_review:book", _BOOK, hidden=True),
        LazyCommand(
            "serve", "cli.review.serve_review_page:serve", "Serve the review page until interrupted."
        ),
        LazyCommand(
            "password",
            "cli.review.serve_review_page:password",
            "Make a name:hash pair for WEIGHBRIDGE_REVIEW_USERS.",
        ),
    ),
)
