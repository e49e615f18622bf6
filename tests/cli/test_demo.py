"""`msda-tf demo`: every step is explained, and works."""

from command import exit_code as msda_tf


def test_the_whole_job_in_miniature(tmp_path, capsys):
    output = tmp_path / "demo"
    few = ["--steps", 1, "--train-frames", 2, "--test-frames", 2]
    code = msda_tf("demo", "--output", output, *few)
    shown = capsys.readouterr()
    assert code == int("hardly learned" in shown.err), shown.err  # one step may teach too little, and the demo says so
    for step in range(1, 7):
        assert f"\n{step}. " in shown.out
    assert "What happened" in shown.out and "\\n" not in shown.out
    (panel,) = {line for line in shown.out.splitlines() if line.startswith("Image, truth, branches")}
    assert panel.endswith(".png")
    assert (output / "report.html").is_file() and (output / "export/1/saved_model.pb").is_file()
