"""Which folders of an export are versions of it."""

from msda_tf.serving.versions import versions


def test_numbers_alone_are_versions_and_their_order_is_that_of_numbers(tmp_path):
    for name in ("10", "9", "²", "v1", "1.part"):
        (tmp_path / name).mkdir()
    assert list(versions(tmp_path).items()) == [(9, tmp_path / "9"), (10, tmp_path / "10")]
    assert versions(tmp_path / "nowhere") == {}
