"""The memory that is left: what the system has, and what control groups of both versions leave of it."""

import pytest

from msda_tf.training import memory

MIB = 1 << 20


def write(root, **texts):
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path):
    """A file system whose kernel has 1000 MiB to give."""
    write(tmp_path, proc__meminfo=f"MemTotal:  {4000 << 10} kB\nMemFree: 12 kB\nMemAvailable:  {1000 << 10} kB\n")
    return tmp_path


def group(folder, limit, used, cached, *, names=("memory.max", "memory.current", "inactive_file")):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (limit, used), strict=False):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cached}\nfile 7\n")


def test_without_groups_it_is_what_the_kernel_has(root):
    assert memory.cpu_left(root) == 1000 * MIB


def test_a_group_leaves_its_limit_less_what_is_used_and_no_cache(root):
    write(root, proc__self__cgroup="0::/a/b\n")
    group(root / "sys/fs/cgroup/a/b", "max", 500 * MIB, 0)
    group(root / "sys/fs/cgroup/a", 800 * MIB, 500 * MIB, 100 * MIB)
    assert memory.cpu_left(root) == 400 * MIB
    group(root / "sys/fs/cgroup/a/b", 300 * MIB, 290 * MIB, 0)
    assert memory.cpu_left(root) == 10 * MIB
    group(root / "sys/fs/cgroup/a/b", 300 * MIB, 310 * MIB, 0)
    assert memory.cpu_left(root) == 0


def test_version_1_has_other_names_and_a_container_sees_its_own_group_at_the_top(root):
    write(root, proc__self__cgroup="9:cpu:/\n4:memory:/docker/abc\n0::/\n")
    names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    group(root / "sys/fs/cgroup/memory", 700 * MIB, 250 * MIB, 50 * MIB, names=names)
    assert memory.cpu_left(root) == 500 * MIB
    group(root / "sys/fs/cgroup/memory", (1 << 63) - 4096, 250 * MIB, 0, names=names)
    assert memory.cpu_left(root) == 1000 * MIB


def test_elsewhere_nobody_knows(tmp_path):
    assert memory.cpu_left(tmp_path) is None
