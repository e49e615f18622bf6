"""`msda-tf report` from the command line."""

import json

import command
import fresh_runs


def report(*arguments):
    """The command's exit code."""
    return command.exit_code("report", *arguments)


def test_a_page_of_one_run_without_merge_or_log_or_images(prepared_data, tmp_path, capsys):
    """The barest case; metrics.json of the run, which may be that of the whole split, is left alone."""
    run = fresh_runs.write(tmp_path / "plain", prepared_data, layout="s-all", method="supervised")
    (run.directory / "metrics.json").write_text("{}")
    output = tmp_path / "page.html"
    assert report("--run", run.directory, "--output", output, "--limit", 2, "--gallery", 0) == 0
    assert f"Report: {output} (0.1 MB), scores in {tmp_path / 'page.json'}" in capsys.readouterr().out
    text = output.read_text()
    assert "No Adapt reaches" in text and "Scored on 2 images of 129x65, split test" in text
    assert 'id="gallery"' not in text and 'id="training"' not in text
    assert (run.directory / "metrics.json").read_text() == "{}"
    assert json.loads((tmp_path / "page.json").read_text())["images"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "page.json", "plain"]


def test_misuse_is_one_line(tmp_path, capsys):
    for arguments, message in (
        ([], "--run"),
        (["--run", tmp_path], "is not a run directory"),
        (["--run", tmp_path, "--output", tmp_path / "report.pdf"], "expected the name of an HTML file"),
        (["--run", tmp_path, "--output", tmp_path / "none" / "r.html"], "does not exist"),
        (["--run", tmp_path, "--gallery", "-1"], "--gallery"),
    ):
        assert report(*arguments) == 2, message
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("msda-tf: ")]
        assert message in line
    assert not list(tmp_path.iterdir())
