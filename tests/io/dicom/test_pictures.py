"""Colour maps as DICOM secondary captures: every colour space, their place, the range that they declare."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import convert_color_space
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from scipy.spatial import cKDTree

import willis
from willis.app.cli.main import call
from willis.errors import BadInputError, GeometryError
from willis.io.colour_tables import colour_table
from willis.io.dicom.pictures import LOSSY, declared_colours, is_dicom_picture, read_dicom_pictures
from willis.io.pictures import UNPLACED, is_colour, range_by_metadata, read_colour_map, read_pictures
from willis.io.study import read_study
from willis.phantom.perfusion_pictures import PictureStyle, vendor_pictures

ROWS, COLUMNS, SLICES = 100, 90, 3
PIXEL, STEP = 2.0, 6.0
ENTRIES, GREYS = 240, 16  # of the palette: colours of the map, then greys for text


def truth():
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = np.hypot((y - 50) / 44, (x - 45) / 36) < 1
    values = 6 + 5 * np.sin(x / 13) * np.cos(y / 17) + 0.3 * np.arange(SLICES)[:, None, None]
    return np.moveaxis(np.clip(values, 0, 12), 0, 2), np.repeat(inside[..., None], SLICES, 2)


def exported(**style):
    values, inside = truth()
    return vendor_pictures(values, (0.0, 12.0), inside, PictureStyle(**style))


def palette():
    greys = np.repeat(np.linspace(0, 255, GREYS).astype(np.uint8)[:, None], 3, axis=1)
    return np.concatenate([colour_table("jet", ENTRIES), greys])


def write_capture(folder, pictures, kind="RGB", *, placed=True, order=None, **changes):
    """One file a slice; changes with None delete."""
    folder.mkdir(parents=True, exist_ok=True)
    series = generate_uid(entropy_srcs=[str(folder)])
    for k in order or range(pictures.shape[2]):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = SecondaryCaptureImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(k)])
        ds.Modality, ds.SeriesInstanceUID, ds.InstanceNumber = "OT", series, k + 1
        ds.Rows, ds.Columns = pictures.shape[:2]
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        ds.PhotometricInterpretation, ds.SamplesPerPixel = kind, 1 if kind == "PALETTE COLOR" else 3
        shown = np.ascontiguousarray(pictures[:, :, k])
        if kind == "PALETTE COLOR":
            _, shown = cKDTree(palette().astype(float)).query(shown.astype(float))
            for name, channel in zip(("Red", "Green", "Blue"), palette().T, strict=True):
                setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [ENTRIES + GREYS, 0, 8])
                setattr(ds, f"{name}PaletteColorLookupTableData", np.ascontiguousarray(channel).tobytes())
        else:
            ds.PlanarConfiguration = 0
            shown = convert_color_space(shown, "RGB", kind) if kind != "RGB" else shown
        ds.PixelData = shown.astype(np.uint8).tobytes()
        if placed:
            ds.ImagePositionPatient = [-80.0, -90.0, 30.0 + STEP * k]
            ds.ImageOrientationPatient, ds.PixelSpacing = [1, 0, 0, 0, 1, 0], [PIXEL, PIXEL]
        for name, value in changes.items():
            delattr(ds, name) if value is None else setattr(ds, name, value)
        ds.save_as(folder / f"{97 - k:03d}.dcm", enforce_file_format=True)
    return folder


def mapping(first, last, low, high, unit="s"):
    """A Real World Value Mapping of stored values to seconds."""
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    item.add_new((0x0040, 0x9216), "US", first)
    item.add_new((0x0040, 0x9211), "US", last)
    item.RealWorldValueSlope = (high - low) / (last - first)
    item.RealWorldValueIntercept = low - first * item.RealWorldValueSlope
    item.MeasurementUnitsCodeSequence = Sequence([code])
    return Sequence([item])


@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL", "PALETTE COLOR"])
@pytest.mark.parametrize("bar", ["right", "above"])
def test_values_and_place_come_back_from_every_colour_space(tmp_path, kind, bar):
    shown = exported(bar=bar)
    folder = write_capture(tmp_path / "tmax", shown.pictures, kind)
    assert is_colour(folder)
    volume = read_colour_map(folder, "tmax")
    assert UNPLACED not in volume.notes
    assert volume.grid.spacing_mm == pytest.approx((PIXEL, PIXEL, STEP)) and volume.grid.orientation == "LPS"
    assert volume.grid.to_mm(np.array([[0, 0, 2]]))[0] == pytest.approx([80.0, 90.0, 30.0 + 2 * STEP])
    values, inside = truth()
    read = 12 * volume.data.transpose(1, 0, 2)[shown.rows, shown.columns]
    assert np.isfinite(read[inside]).all() and np.abs(read - values)[inside].max() < 0.2


def test_pictures_without_a_place_are_in_the_order_of_their_instances(tmp_path):
    shown = exported()
    folder = write_capture(tmp_path / "tmax", shown.pictures, placed=False, order=(2, 0, 1))
    pictures, _, notes = read_pictures(folder)
    assert notes == (UNPLACED,) and np.array_equal(pictures, shown.pictures)


def test_slices_from_the_head_down_and_stored_mirrored_lie_where_they_say(tmp_path):
    shown = exported()
    folder = write_capture(tmp_path / "a", shown.pictures)
    turned = write_capture(tmp_path / "b", shown.pictures[:, ::-1])
    for path in turned.iterdir():
        ds = pydicom.dcmread(path)
        ds.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [-80.0 + PIXEL * (shown.pictures.shape[1] - 1), -90.0, ds.ImagePositionPatient[2]]
        ds.save_as(path)
    one, other = read_pictures(folder), read_pictures(turned)
    assert np.array_equal(one[0], other[0]) and one[1].same_as(other[1])


@pytest.mark.parametrize("placed", [False, True])
def test_compression_with_loss_is_told(tmp_path, placed):
    shown = exported().pictures
    assert LOSSY not in read_pictures(write_capture(tmp_path / "a", shown, placed=placed))[2]
    lossy = write_capture(tmp_path / "b", shown, placed=placed, LossyImageCompression="01")
    assert LOSSY in read_colour_map(lossy, "tmax").notes


def test_a_tilted_gantry_is_told_and_kept_in_the_place(tmp_path):
    shown = exported().pictures
    folder = tmp_path / "tilted"
    for k in range(SLICES):
        write_capture(folder, shown, order=(k,), ImagePositionPatient=[-80.0, -90.0 - 2.0 * k, 30.0 + STEP * k])
    pictures, grid, notes = read_pictures(folder)
    assert any("The gantry was tilted by 18.4°" in note for note in notes)
    assert grid.to_mm(np.array([[0, 0, 2]]))[0] == pytest.approx([80.0, 94.0, 30.0 + 2 * STEP])
    assert np.array_equal(pictures, shown)


def test_frames_of_one_file_are_its_slices(tmp_path):
    shown = exported()
    folder = write_capture(tmp_path / "tmax", shown.pictures[:, :, :1], placed=False)
    path = next(folder.iterdir())
    ds = pydicom.dcmread(path)
    ds.NumberOfFrames = SLICES
    ds.PixelData = np.ascontiguousarray(np.moveaxis(shown.pictures, 2, 0)).tobytes()
    ds.save_as(path)
    assert is_colour(path) and np.array_equal(read_pictures(path)[0], shown.pictures)


def test_the_range_is_read_from_the_real_world_value_mapping(tmp_path):
    values = mapping(0, ENTRIES - 1, 0.0, 12.0)
    usual = write_capture(tmp_path / "a", exported().pictures, "PALETTE COLOR", RealWorldValueMappingSequence=values)
    assert range_by_metadata(usual) == pytest.approx((0.0, 12.0, "s"))
    turned = write_capture(
        tmp_path / "b", exported(reversed=True).pictures, "PALETTE COLOR", RealWorldValueMappingSequence=values
    )
    assert range_by_metadata(turned) == pytest.approx((12.0, 0.0, "s"))


def test_the_range_is_read_from_rescaling_where_the_bar_shows_the_whole_palette(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.GREYS", 0)
    shown = exported(text=False).pictures
    folder = write_capture(tmp_path / "a", shown, "PALETTE COLOR", RescaleSlope=12 / (ENTRIES - 1), RescaleIntercept=0)
    assert declared_colours(folder).values == pytest.approx((0.0, 12.0))


def test_a_palette_that_the_bar_does_not_show_declares_nothing(tmp_path):
    part = write_capture(
        tmp_path / "a", exported().pictures, "PALETTE COLOR",
        RealWorldValueMappingSequence=mapping(0, ENTRIES // 2, 0.0, 6.0),
    )  # fmt: skip
    assert declared_colours(part) is not None and range_by_metadata(part) is None
    assert range_by_metadata(write_capture(tmp_path / "b", exported().pictures)) is None
    bare = write_capture(tmp_path / "c", exported().pictures, "PALETTE COLOR")
    assert range_by_metadata(bare) is None


def test_slices_that_declare_different_ranges_declare_nothing(tmp_path):
    for k, high in enumerate((12.0, 12.0, 10.0)):
        write_capture(
            tmp_path / "a", exported().pictures, "PALETTE COLOR", order=(k,),
            RealWorldValueMappingSequence=mapping(0, ENTRIES - 1, 0.0, high),
        )  # fmt: skip
    assert declared_colours(tmp_path / "a") is None


def test_a_grey_capture_is_a_picture_and_a_grey_scan_is_none(tmp_path, make_series):
    grey = write_capture(
        tmp_path / "grey", exported().pictures, "PALETTE COLOR", PhotometricInterpretation="MONOCHROME2"
    )
    assert is_dicom_picture(grey)
    with pytest.raises(BadInputError, match="is a grey picture"):
        read_colour_map(grey, "tmax")
    assert not is_dicom_picture(make_series([0, 4, 8]))
    assert not is_dicom_picture(tmp_path / "nowhere")


def test_a_folder_with_several_maps_is_refused(tmp_path):
    shown = exported().pictures
    folder = write_capture(tmp_path / "all", shown)
    for k, path in enumerate(write_capture(tmp_path / "more", shown, SeriesInstanceUID="1.2.3").iterdir()):
        path.rename(folder / f"more{k}.dcm")
    with pytest.raises(BadInputError, match="holds 2 series"):
        read_pictures(folder)
    one = write_capture(tmp_path / "one", shown, SeriesInstanceUID="1.2.3")
    for k, path in enumerate(write_capture(tmp_path / "two", shown, SeriesInstanceUID="1.2.3").iterdir()):
        path.rename(one / f"more{k}.dcm")
    with pytest.raises(BadInputError, match=r"lie in one place: .* several maps"):
        read_pictures(one)


def test_pictures_that_cannot_be_one_stack_are_refused(tmp_path):
    shown = exported().pictures
    uneven = write_capture(tmp_path / "uneven", shown)
    write_capture(uneven, shown, order=(2,), ImagePositionPatient=[-80.0, -90.0, 60.0],
                  SeriesInstanceUID=generate_uid(entropy_srcs=[str(uneven)]))  # fmt: skip
    with pytest.raises(GeometryError, match="unevenly spaced"):
        read_pictures(uneven)
    part = write_capture(tmp_path / "part", shown)
    write_capture(part, shown, order=(1,), placed=False)
    with pytest.raises(GeometryError, match=r"1 of 3 images .* don't say where they lie"):
        read_pictures(part)
    short = write_capture(tmp_path / "short", shown, PixelData=b"\0\0")
    with pytest.raises(BadInputError, match="can't be read"):
        read_dicom_pictures(short)


def test_a_study_takes_a_folder_of_captures_as_a_map(tmp_path):
    folder = write_capture(tmp_path / "tmax", exported().pictures)
    study = read_study(tmax=folder)
    assert study["tmax"].unit == "bar" and len(study.sources["tmax"].sha256) == 64
    other = read_study(tmax=write_capture(tmp_path / "other", exported(bar="left").pictures))
    assert other.sources["tmax"].sha256 != study.sources["tmax"].sha256


def test_the_task_runs_on_captures_by_their_own_place_and_range(tmp_path, capsys):
    shown = exported().pictures
    declared = mapping(0, ENTRIES - 1, 0.0, 12.0)
    folder = write_capture(tmp_path / "tmax", shown, "PALETTE COLOR", RealWorldValueMappingSequence=declared)
    out = tmp_path / "out"
    assert call(["run", "perfusion", "--tmax", str(folder), "--method", "thresholds", "-o", str(out)]) == 0
    found = willis.read_study(tmax=next(out.glob("*_label-tmax_map.nii.gz")))["tmax"]
    assert found.grid.spacing_mm == pytest.approx((PIXEL, PIXEL, STEP))
    assert "from its metadata" in (out / "report.html").read_text()
    bare = write_capture(tmp_path / "bare", shown, placed=False)
    command = ["run", "perfusion", "--tmax", str(bare), "--method", "thresholds", "-o", str(tmp_path / "none")]
    assert call([*command, "--spacing", "2,2,6"]) == 2 and "--range tmax=LOW:HIGH" in capsys.readouterr().err
    assert call([*command, "--range", "tmax=0:12"]) == 2 and "--spacing 0.45,0.45,5" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
