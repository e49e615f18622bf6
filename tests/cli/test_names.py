"""Names and paths on the command line: they mean what they say, and nothing of them acts on the terminal."""

import ast
import contextlib
import io
import pathlib
import shlex
import subprocess
import sys

import click
import command
import fresh_runs
import pytest
from rich.table import Table

from msda_tf.cli import main as entry
from msda_tf.cli import terminal

ROOT = pathlib.Path(__file__).parent.parent.parent
NASTY = "\x1b]0;owned\x07\x1b[31m[old] :car: {x}\nnext \u202e stra\udcdfe"


def commands(group=entry.cli, words=()):
    """(words, command) of every command that does something."""
    for name in group.list_commands(None):
        found = group.get_command(None, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*words, name))
        else:
            yield (*words, name), found


PATHS = [
    (words, option) for words, found in commands() for option in found.params if isinstance(option.type, click.Path)
]


def test_every_path_is_of_one_type():
    assert len(PATHS) > 30
    assert {type(option.type).__name__ for _, option in PATHS} == {"Path", "Folder"}
    assert {type(option.type).__module__ for _, option in PATHS} == {"msda_tf.cli.options"}


def urls(*, with_runner):
    """(words, option) where URLs are taken."""
    found = [each for each in PATHS if type(each[1].type).__name__ == "Folder"]
    return [each for each in found if each[1].type.with_runner == with_runner]


def test_urls_are_taken_where_the_page_says_so():
    takes = {" ".join((*words, option.opts[0])) for words, option in urls(with_runner=False)}
    assert takes == {
        *("train --data", "train --run", "stylize train --data", "stylize train --run"),
        *("stylize apply --data", "stylize apply --run", "evaluate --data", "evaluate --run"),
        *("report --data", "report --run", "predict --run", "export --run", "runs folder"),
    }
    takes = {" ".join((*words, option.opts[0])) for words, option in urls(with_runner=True)}
    assert takes == {"prepare --raw", "prepare --output", "predict --input", "predict --output"}


REFUSED = [each for each in PATHS if each not in urls(with_runner=False)]


@pytest.mark.parametrize(("words", "option"), REFUSED)
def test_elsewhere_urls_are_refused_before_anything_else(words, option, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = ["gs://bucket/x"] if isinstance(option, click.Argument) else [option.opts[0], "gs://bucket/x"]
    code, _, err = command.run(capsys, *words, *given)
    takes = "which takes --runner" if (words, option) in urls(with_runner=True) else "expected a path on this machine"
    assert code == 2 and "gs://bucket/x is a URL" in err and takes in err
    assert err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_homes_are_expanded(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"No runs in {tmp_path}" in command.run(capsys, "runs", "~")[1]
    code, _, err = command.run(capsys, "evaluate", "--run=~/runs/x")
    assert code == 2 and f"{tmp_path}/runs/x is not a run directory" in err
    code, _, err = command.run(capsys, "runs", "")
    assert code == 2 and "an empty path" in err


def test_names_are_shown_and_never_act(prepared_data, tmp_path, monkeypatch, capsys):
    fresh_runs.write(tmp_path / NASTY, prepared_data, weights=False)
    (tmp_path / "bad\x1b[2J").mkdir()
    (tmp_path / "bad\x1b[2J" / "run.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    code, out, err = command.run(capsys, "runs", ".")
    assert code == 0 and "\x1b" not in out + err and "\u202e" not in out and "\udcdf" not in out
    assert "[old] :car: {x}" in out and "\\x1b[2J" in out
    code, out, err = command.run(capsys, "evaluate", "--run", tmp_path / f"none{NASTY}")
    assert code == 2 and "\x1b" not in err and err.count("\n") == 1
    assert "none\\x1b]0;owned\\x07\\x1b[31m[old] :car: {x}\\nnext \\u202e stra\\xdfe is not a run directory" in err
    # click's own messages, too
    code, _, err = command.run(capsys, "evaluate", "--run", "x", "--merge", "\x1b[31m\nred")
    assert code == 2 and "\x1b" not in err and err.count("\n") == 1


def test_tables_and_progress_take_names_as_they_are():
    file = io.StringIO()
    console = terminal.console(file=file, width=60)
    table = Table("[bold]column[/bold]", title="[old]", caption=":car:")
    table.add_row("a [x] b")
    console.print(table)
    assert all(text in file.getvalue() for text in ("[bold]column[/bold]", "[old]", ":car:", "a [x] b"))


@pytest.mark.parametrize(
    "name",
    ["runs/x", "runs/x [old]", "it's", "$(rm -rf x) `y` !z", "a\nb", NASTY, "größe", "-x", "~", "a\\b\x01'c", ""],
)
def test_printed_commands_can_be_pasted(name, tmp_path):
    line = terminal.command_line("printf", "%s", name)
    assert line.isprintable()
    shell = subprocess.run(["bash", "-c", line], capture_output=True, cwd=tmp_path)
    assert shell.stdout == name.encode(errors="surrogateescape") and not shell.stderr


def test_printed_paths_are_no_options():
    assert terminal.command_line("msda-tf", "inspect", pathlib.Path("-x")) == "msda-tf inspect ./-x"
    assert shlex.split(terminal.command_line(pathlib.Path("~/a b"))) == ["./~/a b"]


def test_everything_is_printed_through_one_module():
    """`click.echo` of a name, or a console of its own with markup, is how names come to act."""
    forbidden = {"echo", "secho", "confirm", "prompt", "Console", "TextColumn", "print"}
    for path in sorted((ROOT / "cli").glob("*.py")):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in forbidden and not ast.unparse(node.func).startswith("terminal."):
                # Tables and blank lines, for which consoles are there, and click's own help.
                text = ast.unparse(node)
                assert called == "print" and "f'" not in text or "get_help" in text, f"{path.name}: {text}"


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command_ = f"{sys.executable} -m msda_tf --help | true"
    shell = subprocess.run(["bash", "-c", command_], capture_output=True, text=True, cwd=ROOT)
    assert shell.stderr == ""


def test_terminals_without_utf8(tmp_path):
    (tmp_path / "東京").mkdir()
    shell = subprocess.run(
        [sys.executable, "-m", "msda_tf", "runs", str(tmp_path / "東京")],
        capture_output=True,
        cwd=ROOT,
        env={"PYTHONIOENCODING": "latin-1", "PATH": "/usr/bin:/bin"},
    )
    assert shell.returncode == 0 and b"\\u6771\\u4eac" in shell.stdout


def test_output_may_be_any_stream():
    """As in a notebook, whose streams have no encoding."""
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.redirect_stderr(io.StringIO()):
        assert command.exit_code("--version") == 0
    assert "msda-tf, version" in shown.getvalue()
