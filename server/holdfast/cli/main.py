"""The command `holdfast`: arguments in, exit status out."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from holdfast import __version__
from holdfast.cli.errors import Refused


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 good, 1 findings or failed, 2 cannot."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except Refused as error:
        print(f"holdfast: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"holdfast: {what}. Check the path and its permissions.", file=sys.stderr)
        return 2
    except _expected_errors() as error:
        action = getattr(error, "action", "")
        print(f"holdfast: {error} {action}".rstrip(), file=sys.stderr)
        return 2


def _expected_errors() -> tuple[type[Exception], ...]:
    from holdfast.agent.errors import AgentError
    from holdfast.journal.store import StoreError
    from holdfast.model.port import ModelFailed

    return (AgentError, StoreError, ModelFailed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="holdfast",
        description="A language server that owns AI coding sessions, so that they never die.",
    )
    parser.add_argument("--version", action="version", version=f"holdfast {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    lsp = commands.add_parser("lsp", help="language server on stdio: what an editor starts")
    lsp.add_argument("--in-process", action="store_true", help="run everything in this process")
    lsp.add_argument("--data-dir", type=Path, help="where sessions are kept")
    lsp.add_argument("--log-file", type=Path, help="write the log there instead of to stderr")
    lsp.set_defaults(run=_lsp)

    demo = commands.add_parser(
        "demo", help="plays the failures and shows the session surviving them"
    )
    demo.add_argument("--live", action="store_true", help="a short real session with your key")
    demo.add_argument("--svg", type=Path, help="also save what was shown as a picture")
    demo.set_defaults(run=_demo)

    check = commands.add_parser("check", help="what is wrong with transcripts")
    check.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="a file, a folder or a session's id"
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=_check)

    repair = commands.add_parser("repair", help="mend a transcript of Claude Code")
    repair.add_argument("path", type=Path, metavar="PATH", help="a file or a session's id")
    where = repair.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=Path, metavar="FILE", help="write the mended copy there")
    where.add_argument(
        "--in-place", action="store_true", help="replace the file; the old one is kept beside it"
    )
    where.add_argument("--dry-run", action="store_true", help="only say what would be done")
    repair.add_argument("--json", action="store_true", help="print JSON")
    repair.set_defaults(run=_repair)

    sessions = commands.add_parser("sessions", help="list, show, export, delete or keep sessions")
    sessions.add_argument(
        "action", nargs="?", default="list", choices=("list", "show", "export", "delete", "keep")
    )
    sessions.add_argument(
        "session_id", nargs="?", metavar="ID", help="`keep` takes one of Claude Code, or a path"
    )
    sessions.add_argument(
        "--claude-code", action="store_true", help="list Claude Code's own sessions instead"
    )
    sessions.add_argument(
        "--folder", type=Path, metavar="DIR", help="with --claude-code: only those of this project"
    )
    sessions.add_argument(
        "--format", default="markdown", choices=("jsonl", "markdown", "claude-code")
    )
    sessions.add_argument("--json", action="store_true", help="print JSON")
    sessions.set_defaults(run=_sessions)

    importer = commands.add_parser("import", help="a transcript becomes a session")
    importer.add_argument("path", type=Path, metavar="PATH", help="a file or a session's id")
    importer.add_argument("--json", action="store_true", help="print JSON")
    importer.set_defaults(run=_import)

    _add_surroundings(commands)
    return parser


def _add_surroundings(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands about what lies around sessions: the network, and a stand-in for the API."""
    doctor = commands.add_parser("doctor", help="is it me, my network or the API?")
    doctor.add_argument(
        "--cloud",
        choices=["bedrock", "vertex", "foundry"],
        help="examine a cloud that its own variables of the environment name",
    )
    doctor.add_argument("--compare", metavar="URL", help="another address to go to as well")
    tokens = doctor.add_mutually_exclusive_group()
    tokens.add_argument(
        "--free", action="store_true", help="ask for no streamed answer (some forty tokens)"
    )
    tokens.add_argument(
        "--long", action="store_true", help="measure two answers for 11 s (some thousand tokens)"
    )
    doctor.add_argument("--bundle", type=Path, metavar="FILE", help="also write a bug report")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=_doctor)

    simulator = commands.add_parser("simulator", help="the strict local Messages API")
    simulator.add_argument("--port", type=int, default=0, help="0 chooses a free port")
    simulator.add_argument("--script", type=Path, help="a JSON file of scripted answers and faults")
    simulator.set_defaults(run=_simulator)


def _lsp(arguments: argparse.Namespace) -> int:
    from holdfast.cli import lsp

    return lsp.run(data_dir=arguments.data_dir, log_file=arguments.log_file)


def _demo(arguments: argparse.Namespace) -> int:
    from holdfast.cli import demo, live

    return asyncio.run(live.run() if arguments.live else demo.run(arguments.svg))


def _check(arguments: argparse.Namespace) -> int:
    from holdfast.cli import check, claude_code

    return check.check(
        [claude_code.located(path) for path in arguments.paths], as_json=arguments.json
    )


def _repair(arguments: argparse.Namespace) -> int:
    from holdfast.cli import check, claude_code

    return check.repair(
        claude_code.located(arguments.path),
        output=arguments.output,
        in_place=arguments.in_place,
        dry_run=arguments.dry_run,
        as_json=arguments.json,
    )


def _sessions(arguments: argparse.Namespace) -> int:
    if arguments.action == "list" and (arguments.claude_code or arguments.folder is not None):
        from holdfast.cli import claude_code

        return claude_code.show(folder=arguments.folder, as_json=arguments.json)
    if arguments.action == "keep" and arguments.session_id is not None:
        return _keep(arguments)

    from holdfast.cli import sessions

    return asyncio.run(
        sessions.run(
            arguments.action, arguments.session_id, arguments.format, as_json=arguments.json
        )
    )


def _keep(arguments: argparse.Namespace) -> int:
    import os

    from holdfast.cli import claude_code
    from holdfast.settings import Settings

    settings, _ = Settings.load(None, os.environ)
    return claude_code.keep(
        Path(arguments.session_id), settings.data_dir / "kept", as_json=arguments.json
    )


def _import(arguments: argparse.Namespace) -> int:
    from holdfast.cli import claude_code, sessions

    path = claude_code.located(arguments.path)
    return asyncio.run(sessions.run_import(path, as_json=arguments.json))


def _doctor(arguments: argparse.Namespace) -> int:
    from holdfast.cli import doctor

    wanted = doctor.Wanted(
        cloud=arguments.cloud,
        compare_url=arguments.compare,
        free=arguments.free,
        long=arguments.long,
        bundle_file=arguments.bundle,
        as_json=arguments.json,
    )
    return asyncio.run(doctor.run(wanted))


def _simulator(arguments: argparse.Namespace) -> int:
    from holdfast.cli import simulator

    return asyncio.run(simulator.run(arguments.port, arguments.script))
