"""The page for a browser: its numbers are those of series.nc and Cn.nc, strangers' words stay words, it can be used."""

import base64
import json
import re
import shutil
import zlib
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_test
from probing import page
from probing.probes import joint_probes
from running import runs, simulation

PERIOD = ("2006-10-01", "2007-09-30")
HOSTILE = "</script><script>document.title='bad'</script><img src=x onerror=document.title='bad'>"
WIDE = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def made(run_dir, tmp_path_factory):
    """The page, Cn.nc and series.nc of the first member, in one folder."""
    out = tmp_path_factory.mktemp("page")
    for kind in ("page", "netcdf"):
        LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(run_dir), out_dir=str(out), format=kind, gates=True))
    LSTM_test.main(LSTM_test.Settings(run_dir=str(run_dir), out_dir=str(out), metrics=("NSE", "KGE")))
    return out


@pytest.fixture(scope="module")
def files(made):
    with xr.open_dataset(made / "series.nc") as series, xr.open_dataset(made / "Cn.nc") as states:
        yield series.sel(member="seed 1").load(), states.load()


def content_of(path):
    text = path.read_text(encoding="utf-8")
    packs = re.findall(r'<script type="text/plain" id="pack-\d+">([\w+/=]+) ([\w+/=]+)</script>', text)
    return json.loads(re.search(r'id="content">(.*?)</script>', text)[1]), packs


def unpack(text, scales):
    """What the browser does, in numpy: values (series, day) and the half of each series' step."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(2, len(scales), -1).astype(int)
    codes = np.cumsum(planes[0] + 256 * planes[1], axis=1) % 65536
    offset, step = np.array(scales).T[..., None]
    return np.where(codes == 65535, np.nan, offset + step * codes), step / 2


def test_packed_numbers_are_those_of_the_files_to_half_a_step(made, files, demo):
    content, packs = content_of(made / "Cn.html")
    series, states = files
    assert [basin["id"] for basin in content["basins"]] == list(series.basin.values) and len(packs) == 4
    assert (content["first_day"], content["days"], content["states"]) == (PERIOD[0], 365, content["order"])
    for basin, (text, _) in zip(content["basins"], packs, strict=True):
        here, inside = series.sel(basin=basin["id"]), states.sel(basin=basin["id"], cell_state=content["states"])
        wanted = [hydrodata.load_forcing(demo, basin["id"])["prcp"][slice(*PERIOD)].to_numpy(float)]
        for name in ("streamflow", "soil1", "swe"):
            wanted += [here[f"{name}_observed"].values, inside[name].values]
            np.testing.assert_allclose(inside[name], here[f"{name}_simulated"], rtol=2e-4, atol=1e-4)
        wanted = np.stack([*wanted, *inside["c"].values.T, *inside["f"].values.T]).astype(float)
        values, half = unpack(text, basin["scales"])
        spread = np.nanmax(wanted, axis=1) - np.nanmin(wanted, axis=1)
        np.testing.assert_allclose(half[:, 0], spread / 131068, rtol=1e-6)
        np.testing.assert_array_equal(np.isnan(values), np.isnan(wanted))
        assert np.nanmax(abs(values - wanted) - half * 1.001) < 1e-6


def test_missing_constant_and_empty_series_are_packed_and_noise_takes_its_bits():
    series = [[1.0, np.nan, 2.0, -3.0], [np.nan] * 4, [7.5] * 4, [0.0, 65534.0, 1.0, 2.0]]
    text, scales = page.pack(series)
    values, half = unpack(text, scales)
    np.testing.assert_allclose(values, series, atol=half.max())
    assert scales[0] == [-3.0, 5 / 65534] and scales[2] == [7.5, 0.0] and scales[3] == [0.0, 1.0]
    text, _ = page.pack(np.random.default_rng(1).normal(size=(17, 1461)))
    assert len(text) < 17 * 1461 * 2 * 4 / 3 * 1.01


def test_what_is_said_of_cell_states_and_scores(made, files, run_dir):
    content, packs = content_of(made / "Cn.html")
    series, states = files
    model = runs.load_run(run_dir).model(1)
    c = states["c"].values.astype(float)
    normalisation = json.loads((run_dir / "normalisation.json").read_text(encoding="utf-8"))
    spread = {name: std for name, (_, std) in normalisation["targets"].items()}
    kernel = model.probe.get_weights()[0]
    weights = {name: kernel[:, k] * spread[name] * c.std(axis=(0, 1)) for k, name in enumerate(("soil1", "swe"))}
    for name, values in weights.items():
        np.testing.assert_allclose(content["weights"][name], values, rtol=1e-3)
    first = [int(np.argmax(abs(weights[name]))) + 1 for name in ("soil1", "swe")]
    assert content["order"][: len(set(first))] == list(dict.fromkeys(first))
    for b, basin in enumerate(content["basins"]):
        r, half = unpack(packs[b][1], basin["r_scales"])
        wanted = [np.corrcoef(c[b, :, k], series["soil1_observed"].values[b])[0, 1] for k in range(6)]
        assert abs(r[1] - wanted).max() < half[1, 0] + 1e-5
        observed, simulated = series["soil1_observed"].values[b], series["soil1_simulated"].values[b]
        nse = 1 - ((observed - simulated) ** 2).sum() / ((observed - observed.mean()) ** 2).sum()
        assert basin["scores"]["soil1"][0] == pytest.approx(nse, rel=1e-4, abs=1e-4)
    scored = [basin["scores"]["swe"][0] is not None for basin in content["basins"]]
    assert scored == [mean > 5 for mean in runs.load_run(run_dir).basins["mean_swe"]] and 0 < sum(scored) < 4
    table = [np.corrcoef(c[b].T, series["soil1_observed"].values[b])[-1, :-1] for b in range(4)]
    np.testing.assert_allclose(content["median_r"]["soil1"], np.median(table, axis=0), atol=1e-4)
    memory = -1 / np.average(np.log(states["f"].values), axis=(0, 1), weights=abs(c))
    np.testing.assert_allclose(content["memory"], memory, rtol=1e-3)


def test_the_states_that_carry_the_concepts_unless_basins_are_named(run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MOST_VALUES", 0)
    monkeypatch.setattr(page, "STATES", 2)
    settings = LSTM_output_Cn.Settings(run_dir=str(run_dir), out_dir=str(tmp_path), format="page")
    LSTM_output_Cn.main(settings)
    content, _ = content_of(tmp_path / "Cn.html")
    assert content["states"] == content["order"][:2] and len(content["order"]) == 6 and not content["gates"]
    assert len(content["basins"][0]["scales"]) == 1 + 3 * 2 + 2
    chosen = (content["basins"][2]["id"],)
    LSTM_output_Cn.main(replace(settings, basins=chosen, out_dir=str(tmp_path / "of one basin")))
    one, _ = content_of(tmp_path / "of one basin" / "Cn.html")
    assert one["states"] == one["order"] and [b["id"] for b in one["basins"]] == [content["basins"][2]["id"]]


def test_a_run_of_runoff_alone_has_a_page(settings, tmp_path):
    import LSTM_train

    LSTM_train.main(settings(tmp_path / "run", concepts=(), epochs=1, seed=(1,)))
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(tmp_path / "run"), out_dir=str(tmp_path), format="page"))
    content, _ = content_of(tmp_path / "Cn.html")
    assert content["weights"] == {} and len(content["targets"]) == 1
    assert content["order"][0] == np.argmax(np.abs(content["median_r"]["streamflow"])) + 1


def page_of(run, data, path, header, notes=()):
    """A page of data that no folder holds, made as the script makes it."""
    model = run.model(1)
    counted, options = simulation.scored_basins(run.basins, data), page.Options(notes=dict(notes))

    def simulate(label):
        return simulation.simulate(model, data, PERIOD, "cf")

    page.write_page(path, data, simulate, joint_probes(model), counted, header, options)
    return path


@pytest.fixture(scope="module")
def hostile(run_dir, tmp_path_factory):
    """A page of data whose units, labels, attributes and run carry markup, and whose basins have no longitude."""
    run = runs.load_run(run_dir)
    data = run.data(PERIOD)
    about = {name: {**about, "units": HOSTILE, "long_name": HOSTILE} for name, about in data.about.items()}
    attributes = data.attributes.rename(columns={data.attributes.columns[0]: HOSTILE})
    data = replace(data, about=about, attributes=attributes, place=data.place.assign(lon=np.nan))
    path = tmp_path_factory.mktemp("hostile") / "Cn.html"
    return page_of(run, data, path, {"run": HOSTILE, "comment": HOSTILE})


@pytest.fixture(scope="module")
def unobserved(run_dir, tmp_path_factory):
    """A page of four basins: nothing is observed in the first, no snow in any; the second has two notes."""
    run = runs.load_run(run_dir)
    data = run.data(PERIOD)
    data = data.in_memory(data.dates("2005-10-01", "2007-09-30"))
    data.arrays[0][:, len(data.inputs) :] = np.nan
    for array in data.arrays:
        array[:, -1] = np.nan
    path, notes = tmp_path_factory.mktemp("unobserved") / "Cn.html", {data.basins[1]: ["too <large>", "dry"]}
    return page_of(run, data, path, {"run": "r"}, notes)


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: uv sync")
    path = shutil.which("google-chrome") or shutil.which("chromium")
    with api.sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
        where = {"executable_path": path} if path else {"channel": "chrome"}
        try:
            started = playwright.chromium.launch(args=quiet, **where)
        except api.Error as error:
            pytest.skip(f"No browser could be started, install chromium: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def visit(browser):
    """A function that opens a page and waits for its first basin; what it complains of or asks for is an error."""
    contexts, complaints = [], []

    def visit(path, fragment="", **options):
        contexts.append(browser.new_context(**{"viewport": WIDE, **options}))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(120_000)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: None if request.url.startswith("file:") else complaints.append(request.url))
        tab.goto(path.as_uri() + fragment)
        drawn(tab, 1)
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert not complaints


def until(tab, holds):
    """Ask again and again, for two minutes; the page's own policy forbids Playwright to do so in the page."""
    for _ in range(1200):
        if tab.evaluate(holds):
            return
        tab.wait_for_timeout(100)
    raise AssertionError(f"never came true: {holds}")


def drawn(tab, times):
    """Wait until a basin has been drawn so many times."""
    until(tab, f"performance.getEntriesByName('basin drawn').length >= {times}")


def readout(tab):
    """The date and the numbers above the panels, in the order of the panels."""
    date, *values = tab.locator("#labels output").all_inner_texts()
    return date, [np.nan if text == "–" else float(text) for text in values]


def test_the_numbers_under_the_cursor_are_those_of_the_files(made, files, visit, demo):
    series, states = files
    content, _ = content_of(made / "Cn.html")
    tab = visit(made / "Cn.html", f"#{series.basin.values[3]}")
    tab.check("#forget")
    tab.locator("#table input").nth(5).check()
    here, inside = series.isel(basin=3), states.isel(basin=3)
    rain = hydrodata.load_forcing(demo, str(here.basin.values))["prcp"]
    box = tab.locator("#panels").bounding_box()
    ticked = list(dict.fromkeys([*content["states"][:3], int(tab.locator("#table input").nth(5).input_value())]))
    for share in (0.2, 0.5, 0.83):
        mouse = round(box["x"] + box["width"] * share)  # the browser gives whole pixels
        x = mouse - box["x"]
        tab.mouse.move(mouse, box["y"] + 200)
        date, values = readout(tab)
        # Plotly's own axis says which day stands under this pixel.
        axis = "document.getElementById('panels')._fullLayout.xaxis"
        day = tab.evaluate(f"x => {axis}.p2d(x - {axis}._offset)", x)
        assert abs(np.datetime64(day.replace(" ", "T")) - np.datetime64(date)) <= np.timedelta64(13, "h")
        wanted = [rain[date]]
        for name in ("streamflow", "soil1", "swe"):
            wanted += [here[f"{name}_observed"].sel(date=date), inside[name].sel(date=date)]
        wanted += [inside[gate].sel(date=date, cell_state=k) for gate in "cf" for k in ticked]
        np.testing.assert_allclose(values, np.array(wanted, float), rtol=6e-4, atol=1e-3)


def test_map_list_search_keys_and_address_change_the_basin(made, files, visit):
    basins = list(files[0].basin.values)
    tab = visit(made / "Cn.html")
    now = tab.locator("#basin")
    assert now.inner_text() == basins[0] and tab.locator("#list option").count() == 4
    tab.keyboard.press("ArrowDown")
    drawn(tab, 2)
    assert now.inner_text() == basins[1] and tab.url.endswith(f"#{basins[1]}")
    tab.keyboard.press("ArrowUp")
    drawn(tab, 3)
    assert now.inner_text() == basins[0]
    tab.fill("#search", basins[2][-5:])
    assert tab.locator("#list option").all_inner_texts()[0].startswith(basins[2])
    tab.press("#search", "Enter")
    drawn(tab, 4)
    assert now.inner_text() == basins[2]
    tab.fill("#search", "")
    tab.select_option("#list", "3")
    drawn(tab, 5)
    assert now.inner_text() == basins[3]
    box = tab.evaluate("""() => { const map = document.getElementById('map'), box = map.getBoundingClientRect();
        const { xaxis, yaxis } = map._fullLayout, { lon, lat } = content.basins[1];
        return [box.x + xaxis._offset + xaxis.l2p(lon), box.y + yaxis._offset + yaxis.l2p(lat)] }""")
    tab.mouse.move(*box)
    tab.mouse.click(*box)
    drawn(tab, 6)
    assert now.inner_text() == basins[1]
    tab.evaluate(f"location.hash = '{basins[0]}'")
    drawn(tab, 7)
    assert now.inner_text() == basins[0]


def test_a_zoom_holds_for_all_panels_and_the_next_basin_until_a_double_click(made, visit):
    tab = visit(made / "Cn.html")
    shown = "() => document.getElementById('panels')._fullLayout.xaxis.range.map((day) => day.slice(0, 10))"
    whole = tab.evaluate(shown)
    assert whole == list(PERIOD)
    box = tab.locator("#panels").bounding_box()
    tab.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 200)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 210, steps=5)
    tab.mouse.up()
    until(tab, f"({shown})()[0] > '{whole[0]}'")
    zoomed = tab.evaluate(shown)
    assert whole[0] < zoomed[0] < zoomed[1] < whole[1]
    axes = "Object.keys(document.getElementById('panels')._fullLayout).filter((key) => /^xaxis/.test(key))"
    assert tab.evaluate(axes) == ["xaxis"]  # of all panels
    tab.keyboard.press("ArrowDown")
    drawn(tab, 2)
    assert tab.evaluate(shown) == zoomed
    assert tab.locator("#years option:checked").inner_text() == "as zoomed"
    tab.keyboard.press("ArrowRight")
    assert zoomed[0] <= readout(tab)[0] <= zoomed[1]
    tab.mouse.dblclick(box["x"] + 0.5 * box["width"], box["y"] + 200)
    until(tab, f"({shown})()[0] === '{whole[0]}'")
    assert tab.evaluate(shown) == whole
    tab.select_option("#years", label="Oct 2006 – Sep 2007")
    assert tab.evaluate(shown) == whole  # the one water year that there is
    assert tab.locator("#years option:checked").inner_text() == "Oct 2006 – Sep 2007"


def curves(tab, chart):
    """Names of the lines of a chart that hold a number, by their colour."""
    has_numbers = "({ x, y }) => x.length && y.some((value) => value !== null)"
    return tab.evaluate(
        f"document.getElementById('{chart}').data.filter({has_numbers}).map(({{ line }}) => line.color)"
    )


def test_what_is_not_observed_is_simulated_and_has_no_score(unobserved, made, visit):
    content, packs = content_of(unobserved)
    assert content["header"]["observed"] == "streamflow in 3, soil1 in 3, swe in 0 of 4 basins"
    first, *others = content["basins"]
    assert first["scores"] == {name: [None] * 5 for name in ("streamflow", "soil1", "swe")}
    whole, whole_packs = content_of(made / "Cn.html")
    assert "observed" not in whole["header"] and others[0]["scores"]["soil1"] == whole["basins"][1]["scores"]["soil1"]
    values, _ = unpack(packs[0][0], first["scales"])
    wanted, half = unpack(whole_packs[0][0], whole["basins"][0]["scales"])
    assert np.isnan(values[1:7:2]).all()  # observed; what is simulated is what it is in the page of observed basins
    np.testing.assert_allclose(values[2:7:2], wanted[2:7:2], atol=2 * half.max())
    assert content["median_r"]["swe"] == [None] * 6 and None not in content["median_r"]["soil1"]

    tab = visit(unobserved)
    labels = tab.locator("#labels > div").all_inner_texts()
    assert [("not observed" in text, "observed\n" in text) for text in labels[1:4]] == [(True, False)] * 3
    assert tab.locator("#share").inner_text() == "NSE of runoff: not observed in this basin"
    assert tab.locator("#against").inner_text().startswith("soil1 is not observed in this basin: nothing to set cn_")
    assert not tab.locator("#scatter").is_visible()
    for chart in ("duration", "flow_year", "concept_year"):
        assert len(curves(tab, chart)) == 1, chart  # as simulated
    tab.keyboard.press("ArrowDown")
    drawn(tab, 2)
    assert len(curves(tab, "duration")) == 2 and tab.locator("#scatter").is_visible()
    assert tab.locator("#share").inner_text().endswith("of 3 basins")
    assert "streamflow in 3, soil1 in 3, swe in 0 of 4 basins" in tab.locator("#about").inner_text()


def test_notes_stand_in_the_header_and_mark_the_list(unobserved, visit):
    tab = visit(unobserved)
    marks = [text.endswith(" !") for text in tab.locator("#list option").all_inner_texts()]
    assert marks == [False, True, False, False] and "!: has notes" in tab.locator("#matches").inner_text()
    assert tab.locator("#notes li").count() == 0
    tab.keyboard.press("ArrowDown")
    drawn(tab, 2)
    assert tab.locator("#notes li").all_inner_texts() == ["too <large>", "dry"]


def test_what_is_not_there_is_answered_and_the_scatter_follows_the_concept(made, files, visit):
    first, *_ = files[0].basin.values
    for fragment, name in (("12345678", "12345678"), ("%C3%A9%zz", "%C3%A9%zz"), ("gr%C3%BCn", "grün")):
        tab = visit(made / "Cn.html", f"#{fragment}")
        assert tab.locator("#answer").inner_text() == f"There is no basin {name} in this file."
        assert tab.locator("#basin").inner_text() == first
    tab.keyboard.press("ArrowDown")
    drawn(tab, 2)
    assert tab.locator("#answer").inner_text() == ""
    tab.fill("#number", "99")
    tab.press("#number", "Enter")
    assert tab.locator("#cell_answer").inner_text() == "There is no cell state 99: they are 1 to 6."
    tab.fill("#number", "5")
    tab.press("#number", "Enter")
    assert tab.locator("#cell_answer").inner_text() == "" and "against cn_5" in tab.locator("#against").inner_text()
    content, _ = content_of(made / "Cn.html")
    for name in ("swe", "soil1"):
        tab.select_option("#concept", name)
        carries = int(np.argmax(np.abs(content["weights"][name]))) + 1
        assert tab.locator("#against").inner_text() == f"{name} (mm), observed, against cn_{carries}"
        points = tab.evaluate("document.getElementById('scatter').data[0].y")
        wanted = files[0][f"{name}_observed"].values[1]
        np.testing.assert_allclose(np.array(points, float), wanted, atol=np.ptp(wanted) / 1e5)
        assert tab.locator("tr.chosen").inner_text().startswith(f"cn_{carries}")


def test_words_of_strangers_are_shown_as_words(hostile, visit):
    text = hostile.read_text(encoding="utf-8")
    assert "<img" not in text and text.count("</script") == 4 + 1 + 2  # packs, content, plotly and our own
    assert content_of(hostile)[0]["header"]["run"] == HOSTILE
    tab = visit(hostile)
    tab.click("summary")
    assert "bad" not in tab.title() and tab.locator("img").count() == 0
    assert HOSTILE in tab.locator("#about").inner_text() and tab.locator("#comment").inner_text() == HOSTILE
    for part in ("#labels", "#heads", "#concept_label", "#attributes"):
        assert HOSTILE in tab.locator(part).inner_text()
    assert "no map" in tab.locator("#places").inner_text() and not tab.locator("#map").is_visible()


@pytest.mark.parametrize("options", [{}, {"viewport": {"width": 390, "height": 844}}, {"color_scheme": "dark"}])
def test_nothing_is_clipped_or_overlaps(made, visit, options):
    tab = visit(made / "Cn.html", **options)
    for media in ("screen", "print"):
        tab.emulate_media(media=media)
        tab.wait_for_timeout(300)
        wide = tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1]
        boxes = tab.evaluate("""() => [...document.querySelectorAll('#labels > div')].map((label) => {
            const box = label.getBoundingClientRect(); return [box.top, box.bottom] })""")
        drawn_at = tab.evaluate("""() => { const panels = document.getElementById('panels');
            const top = panels.getBoundingClientRect().top, found = panels._fullLayout;
            return Object.keys(found).filter((key) => /^yaxis/.test(key)).map((key) =>
                [top + found[key]._offset, top + found[key]._offset + found[key]._length]) }""")
        order = [edge for pair in zip(boxes, drawn_at, strict=True) for both in pair for edge in both]
        assert (np.diff(order) > -1.5).all()
        ink = tab.evaluate("getComputedStyle(document.body).color")
        assert (ink == "rgb(230, 233, 236)") == (options.get("color_scheme") == "dark" and media == "screen")
