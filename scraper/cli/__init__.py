"""Verbs: each is one call into the house, what it prints, and its exit code. The rest is imported when a verb runs."""

from __future__ import annotations

import os
import sys

import click

from scraper import __version__
from scraper.cli.archive import check, rebuild, show, status, urls
from scraper.cli.console import Console, writing_results
from scraper.cli.export import export
from scraper.cli.extract import extract
from scraper.cli.importing import import_
from scraper.cli.replay import replay
from scraper.cli.search import search
from scraper.cli.visit import demo, fetch, run
from scraper.errors import OutputUnwritable, ScraperError


@click.group(
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="scraper", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> int:
    """Keep the web pages that documents cite: the exact HTTP exchange as WARC, the article as clean text."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    return 2


for verb in (run, fetch, urls, show, status, check, rebuild, extract, export, import_, replay, search, demo):
    cli.add_command(verb)


def main() -> None:
    """The console script: no traceback for what a user, a server or a disk can cause; a bug is loud."""
    sys.exit(_run())


def _run() -> int:
    try:
        # Not `cli.main`: it takes a reader that has gone for a failure of ours.
        with cli.make_context("scraper", sys.argv[1:]) as context:
            code = int(cli.invoke(context) or 0)
        with writing_results():
            if sys.stdout is not None:
                sys.stdout.flush()
        return code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "scraper"
        Console().error(f"{error.format_message()} (see `{where} --help`)")
        return 2
    except ScraperError as error:
        Console().error(str(error))
        if isinstance(error, OutputUnwritable):
            _drop_output()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        # Whoever read our output (head, less) has gone: nothing is wrong.
        _drop_output()
        return 0


def _drop_output() -> None:
    # What is still buffered must not make Python complain at its exit.
    if sys.stdout is not None and not sys.stdout.closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
