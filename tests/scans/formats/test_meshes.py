import random
import sys

import numpy as np
import pytest

from fedchain.errors import DataError, MissingExtra
from fedchain.scans.formats import read_cloud
from fedchain.scans.formats.meshes import ENDINGS, Mesh, read_mesh, write_mesh

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.25, 0.5, -2]])
TETRAHEDRON = Mesh(CORNERS, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]))


@pytest.fixture(autouse=True)
def _with_trimesh():
    pytest.importorskip("trimesh")


def triangles(mesh):
    return mesh.vertices[mesh.faces].tolist()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_written_mesh_has_the_same_triangles(ending, tmp_path):
    write_mesh(tmp_path / f"a{ending}", TETRAHEDRON)
    found = read_mesh(tmp_path / f"a{ending}")
    assert triangles(found) == triangles(TETRAHEDRON)
    assert len(found.vertices) == (12 if ending == ".stl" else 4)  # STL shares no corners


SQUARE = {
    "a.off": "OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n",
    "a.obj": "mtllib /etc/none\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nusemtl x\nf 1 2 3 4\n",
}


@pytest.mark.parametrize("name", SQUARE)
def test_a_polygon_becomes_triangles(name, tmp_path):
    (tmp_path / name).write_text(SQUARE[name])
    mesh = read_mesh(tmp_path / name)
    assert mesh.faces.shape == (2, 3)
    sides = np.diff(mesh.vertices[mesh.faces], axis=1)
    areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1) / 2
    assert areas.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("ending", ENDINGS)
def test_damaged_meshes_are_read_or_refused_by_name(ending, tmp_path, capsys):
    path = tmp_path / f"a{ending}"
    write_mesh(path, TETRAHEDRON)
    whole, chance, refused = path.read_bytes(), random.Random(ending), []
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(1, len(data))])])
        try:
            assert len(read_mesh(path).faces)
        except DataError as error:
            refused.append(str(error))
    assert refused
    assert all(path.name in said for said in refused)
    assert not capsys.readouterr().err


def test_a_mesh_without_triangles_is_refused(tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\n")
    with pytest.raises(DataError, match=r"a\.obj: "):
        read_mesh(tmp_path / "a.obj")


def test_a_mesh_is_no_cloud_and_says_what_reads_it(tmp_path):
    with pytest.raises(DataError, match=r"is a mesh, not a scan; .*read_mesh reads it"):
        read_cloud(tmp_path / "a.stl")
    with pytest.raises(DataError, match=r"no mesh format ends in '.3ds'; allowed: .obj, .off"):
        read_mesh(tmp_path / "a.3ds")


def test_without_trimesh_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(MissingExtra, match=r"pip install 'fedchain\[scans\]'"):
        write_mesh(tmp_path / "a.stl", TETRAHEDRON)


def test_a_text_that_is_not_utf8_is_named_as_such_without_a_package_that_guesses(
    tmp_path, monkeypatch
):
    for package in ("chardet", "charset_normalizer"):
        monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a.obj").write_bytes(b"# \xe9\xff\nv 0 0 0\n")
    with pytest.raises(DataError, match=r"a\.obj: is a damaged mesh, or text that is not UTF-8"):
        read_mesh(tmp_path / "a.obj")
