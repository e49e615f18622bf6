"""Means, spreads, gains and differences of a table, against NumPy and by hand; how the table is written."""

import json

import finished_jobs
import numpy as np
import pytest

from msda_tf.evaluation import metrics
from msda_tf.experiment import jobs, results, tables

IOU = {"S1": (0.2, 0.4, 0.3), "S2": (0.5, 0.6, 0.1), "S-All": (0.6, 0.8, 0.4), "Max Merge": (0.7, 0.7, 0.5)}
NO_ADAPT = (0.1, 0.3, 0.6)


def fill(found, *, skip=()):
    for job in found:
        if (job.seed, job.kind) in skip:
            continue
        finished_jobs.train(job)
        values = {"No Adapt": NO_ADAPT} if job.kind == "no-adapt" else {"No Adapt": (0.9, 0.9, 0.9)}
        values = IOU if job.kind == "adapted" else values
        finished_jobs.score(job, branches={name: each[job.seed] for name, each in values.items()})


def plan(grid, prepared_data, tmp_path, **options):
    options = {"targets": ["cityscapes"], "scales": [1.0], "seeds": 3, "settings": {"steps": 10}, **options}
    found = jobs.plan(grid, output=tmp_path, data=prepared_data, **options)
    if grid == "miniature":
        (tmp_path / "labelled").symlink_to(prepared_data)  # where the oracles' data lies
    return found


def cells(table):
    return {row[:2]: dict(zip(table.header[2:], row[2:], strict=True)) for row in table.rows}


def test_mean_spread_difference_and_gain(prepared_data, tmp_path):
    found = plan("paper", prepared_data, tmp_path)
    fill(found)
    (row,) = results.gather(found, "paper")
    assert list(row.columns) == ["No Adapt", "S1", "S2", "S-All", "Max Merge"]
    merged, s_all, without = (
        np.array([finished_jobs.miou(v) for v in values]) for values in (IOU["Max Merge"], IOU["S-All"], NO_ADAPT)
    )
    written = json.loads(json.dumps(results.to_json([row], found, grid="paper", failures={})))
    (entry,) = written["rows"]
    column = entry["columns"]["Max Merge"]
    assert column["miou_19"] == {
        "mean": pytest.approx(merged.mean()),
        "std": pytest.approx(merged.std(ddof=1)),
        "seeds": 3,
    }
    assert column["miou_present"]["mean"] == pytest.approx(merged.mean() * 19 / 2)
    assert column["difference"] == pytest.approx(merged.mean() - 0.4276)
    assert column["seeds"]["2"]["iou"]["road"] == 0.5
    assert entry["columns"]["S1"]["paper"] == pytest.approx(0.3955)
    assert entry["columns"]["Max Merge"]["paper_iou"]["road"] == pytest.approx(0.878)
    assert entry["columns"]["S1"]["paper_iou"] is None
    gain = entry["gains"]["Max Merge - S-All"]
    # Seed by seed: the spread of the differences is not that of the columns.
    assert gain["std"] == pytest.approx((merged - s_all).std(ddof=1)) and gain["paper"] == pytest.approx(0.0095)
    assert entry["gains"]["Max Merge - No Adapt"]["mean"] == pytest.approx((merged - without).mean())
    assert {run["state"] for run in written["runs"]} == {"finished"}
    assert [run["made_from"] for run in written["runs"]] == [metrics.read(job.scores_path).made_from for job in found]

    all_, present, gains, classes = map(cells, tables.all_tables([row], seeds=3))
    percent = f"{100 * merged.mean():.2f} ± {100 * merged.std(ddof=1):.2f}"
    assert all_["cityscapes", "measured"]["Max Merge"] == f"*{percent}"
    assert all_["", "paper"] == dict(zip(row.columns, ("39.98", "39.55", "34.51", "41.81", "42.76"), strict=True))
    assert all_["", "difference"]["Max Merge"] == f"{100 * merged.mean() - 42.76:+.2f}"
    assert present["cityscapes", "measured"]["Max Merge"].startswith(f"*{100 * merged.mean() * 19 / 2:.2f} ±")
    assert gains["", "paper"]["Max Merge - No Adapt"] == "+2.78"
    road = 100 * np.array(IOU["Max Merge"])
    assert classes["road", "measured"]["cityscapes, Max Merge"] == f"{road.mean():.2f} ± {road.std(ddof=1):.2f}"
    assert classes["wall", "measured"]["cityscapes, S-All"] == "0.00 ± 0.00"  # absent


def test_figures_of_s1_and_s2_stand_beside_the_data_set_that_they_belong_to(prepared_data, tmp_path):
    found = plan("paper", prepared_data, tmp_path, targets=["synthia"], seeds=1)
    (row,) = results.gather(found, "paper")
    # The paper writes Cityscapes, GTA5; runs are trained with S1 = gta5, S2 = cityscapes.
    assert row.sources == ("gta5", "cityscapes")
    assert (row.paper["S1"], row.paper["S2"]) == pytest.approx((0.3407, 0.3525))


def test_the_classes_of_table_2_are_shown_for_its_rows_alone(prepared_data, tmp_path):
    found = plan("paper", prepared_data, tmp_path, targets=["cityscapes", "synthia", "gta5"], scales=[], seeds=1)
    *_, classes = tables.all_tables(results.gather(found, "paper"), seeds=1)
    merges = ("synthia, Max Merge", "gta5, Max Merge")
    assert classes.header == ("class", "", "cityscapes, S-All", "cityscapes, Max Merge", *merges)
    assert [line for line in classes.rows if line[1] == "paper"][13] == (
        "",
        "paper",
        "75.40",
        "80.50",
        "55.70",
        "74.20",
    )
    assert set(cells(classes)["bicycle", "measured"].values()) == {"-"}
    reduced = plan("paper", prepared_data, tmp_path / "reduced", scales=[0.5], seeds=1)
    assert len(tables.all_tables(results.gather(reduced, "paper"), seeds=1)) == 3


def test_missing_runs_leave_gaps_that_are_named(prepared_data, tmp_path):
    found = plan("paper", prepared_data, tmp_path)
    fill(found, skip=[(1, "adapted"), (0, "no-adapt"), (1, "no-adapt"), (2, "no-adapt")])
    rows = results.gather(found, "paper")
    all_, _, gains, _ = tables.all_tables(rows, seeds=3)
    assert cells(all_)["cityscapes", "measured"]["S1"].endswith("(2)")
    assert cells(all_)["cityscapes", "measured"]["No Adapt"] == "-"
    assert cells(gains)["cityscapes", "measured"]["Max Merge - No Adapt"] == "-"
    assert any(note.startswith("(n): from n seeds only") for note in all_.notes)
    failures = {found[1].name: "out of memory"}
    written = results.to_json(rows, found, grid="paper", failures=failures)["runs"]
    assert written[1]["state"] == "failed: out of memory" and written[2]["state"] == "to do"


def test_nothing_finished_is_a_table_of_gaps(prepared_data, tmp_path):
    found = plan("paper", prepared_data, tmp_path, seeds=1)
    rows = results.gather(found, "paper")
    all_, *_ = tables.all_tables(rows, seeds=1)
    assert set(cells(all_)["cityscapes", "measured"].values()) == {"-"}
    json.dumps(results.to_json(rows, found, grid="paper", failures={}), allow_nan=False)


def test_an_oracle_is_never_the_best_and_one_seed_has_no_spread(prepared_data, tmp_path):
    found = plan("miniature", prepared_data, tmp_path, seeds=1)
    fill(found)
    all_, _, gains, _ = tables.all_tables(results.gather(found), seeds=1)
    measured = cells(all_)["cityscapes", "measured"]
    assert list(cells(all_)) == [("cityscapes", "measured")]  # the paper has no miniature
    assert measured["Oracle"] == f"{100 * finished_jobs.miou(0.9):.2f}"
    assert measured["Max Merge"] == f"*{100 * finished_jobs.miou(0.7):.2f}"
    expected = 100 * (finished_jobs.miou(0.9) - finished_jobs.miou(0.1))
    assert cells(gains)["cityscapes", "measured"]["Oracle - No Adapt"] == f"{expected:+.2f}"


def test_classes_that_some_seeds_lost_are_named_and_settings_are_told(prepared_data, tmp_path):
    found = plan("miniature", prepared_data, tmp_path, settings={"steps": 10, "flip": False})
    for job in found:
        finished_jobs.train(job)
        # Road is not found at all by one of three seeds.
        road = 0.0 if (job.kind, job.seed) == ("adapted", 1) else 0.5
        finished_jobs.score(job, branches={**dict.fromkeys(job.columns, 0.5), "Max Merge": road})
    (row,) = results.gather(found)
    *_, classes = tables.all_tables([row], seeds=3)
    assert classes.title == "IoU of each class in % on cityscapes"
    assert cells(classes)["road", ""]["Max Merge"] == f"{100 / 3:.2f} ± {100 * np.std([0.5, 0, 0.5], ddof=1):.2f}"
    assert classes.notes[-1] == "0 in some seeds and found in others: road of Max Merge in 1 of 3"
    all_ = tables.all_tables([row], seeds=3)[0]
    settings = "preset tiny, with flip=false, steps=10, held_out=0, merge=max-logit"
    assert results.to_json([row], found, grid="miniature", failures={})["rows"][0]["settings"].startswith("preset tiny")
    assert any(note.startswith("trained with preset tiny, with ") for note in all_.notes), all_.notes
    assert all(part in " ".join(all_.notes) for part in settings.split(", with ")[1].split(", "))


def test_tables_and_json_say_at_what_size_and_whether_labels_chose_the_checkpoint(prepared_data, tmp_path):
    found = plan("paper", prepared_data, tmp_path, seeds=1, settings={"steps": 10, "select": "best"})
    for job in found:
        finished_jobs.train(job)
        finished_jobs.score(job, best=True)
    rows = results.gather(found, "paper")
    written = results.to_json(rows, found, grid="paper", failures={})["rows"][0]
    assert written["selected_on_target_labels"] is True
    assert written["resolution"] == {"sizes": {"129x65": 3}, "prepared_at": 0.5}
    for table in tables.all_tables(rows, seeds=1):
        assert "scored at: cityscapes 129x65" in table.notes
        assert "checkpoints selected on the target's labels (select=best): cityscapes" in table.notes
        assert any("prepared at 0.5 of its own size" in note for note in table.notes)

    last = plan("paper", prepared_data, tmp_path / "last", seeds=1)
    for job in last:
        finished_jobs.train(job)
        finished_jobs.score(job)
    rows = results.gather(last, "paper")
    assert results.to_json(rows, last, grid="paper", failures={})["rows"][0]["selected_on_target_labels"] is False
    assert not any("selected" in note for table in tables.all_tables(rows, seeds=1) for note in table.notes)


def test_markdown_and_text_hold_every_cell(prepared_data, tmp_path):
    found = plan("paper", prepared_data, tmp_path)
    fill(found)
    table = tables.all_tables(results.gather(found, "paper"), seeds=3)[0]
    markdown, text = tables.to_markdown(table), tables.to_text(table)
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table.rows) and {line.count("|") for line in lines} == {len(table.header) + 1}
    for row in table.rows:
        for cell in row:
            assert cell.removeprefix("*") in markdown and cell in text
    best = next(cell for cell in table.rows[0] if cell.startswith("*"))
    assert f"| **{best[1:]}** |" in markdown
