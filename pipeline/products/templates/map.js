// The map of the report: years by slider, two of them by swipe, two looks, outlines whose numbers open on a click.
// Everything shown as text is set as text, never as markup.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const find = (id) => document.getElementById(id);
  const years = data.years.map((one) => one.year);
  const part = find("map-part");
  if (!years.length) {
    part.hidden = true;
    return;
  }
  const tools = find("map-tools"), slider = find("map-year"), other = find("map-other"), swipe = find("map-swipe");
  const split = find("map-split"), divider = find("map-divider"), frame = part.querySelector(".map-frame");
  const layers = Array.from(find("map-legend").querySelectorAll("input"));
  const whole = L.latLngBounds([0, 0], [data.size[1], data.size[0]]);
  const map = L.map("map-view", {
    crs: L.CRS.Simple, zoomSnap: 0.25, minZoom: -9, maxZoom: 2, attributionControl: false,
    zoomAnimation: false, fadeAnimation: false, inertia: false, scrollWheelZoom: false,
  });
  map.fitBounds(whole);
  map.setMaxBounds(whole.pad(0.5));
  L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
  // The wheel moves the page until the map is meant.
  map.on("focus", () => map.scrollWheelZoom.enable());
  map.on("blur", () => map.scrollWheelZoom.disable());

  const box = (edges) => L.latLngBounds([edges[1], edges[0]], [edges[3], edges[2]]);

  // Rings are a first point and steps, in metres from the lower left corner.
  function latLngs(ring) {
    const points = [];
    for (let i = 0, x = 0, y = 0; i < ring.length; i += 2) {
      x += ring[i];
      y += ring[i + 1];
      points.push([y, x]);
    }
    return points;
  }

  const byKey = new Map(data.features.map((feature) => [feature.key, feature]));
  data.features.forEach((feature) => {
    feature.points = feature.rings.map((polygon) => polygon.map(latLngs));
  });

  function isOf(feature, year) {
    if (!feature.years) return true;
    return feature.years[feature.years.length - 1] === year;
  }

  // A side is one year: its image and its outlines in a pane of its own, so that each can be cut along the line.
  function side(name, label) {
    const pane = map.createPane(name);
    pane.style.zIndex = name === "left" ? 402 : 401;
    const drawn = L.layerGroup().addTo(map), renderer = L.svg({ pane: name, padding: 0.5 });
    const empty = data.image ? L.rectangle(box(data.image), { renderer, className: "no-image", interactive: false }) : null;
    let image = null;
    return {
      pane,
      year: null,
      show(year, look) {
        this.year = year;
        drawn.clearLayers();
        const uri = (data.images[look] || {})[year];
        if (image) image.remove();
        image = null;
        if (uri) {
          image = L.imageOverlay(uri, box(data.image), { pane: name, className: "map-image" }).addTo(map);
          image.on("load", sharpen);
          sharpen.call(image);
        } else if (empty) empty.addTo(drawn);
        label.textContent = year + (uri ? "" : ": no image");
        const on = new Set(layers.filter((one) => one.checked).map((one) => one.value));
        data.features.filter((one) => on.has(one.layer) && isOf(one, year)).forEach((feature) => {
          const className = "m-" + feature.layer + " k-" + feature.kind;
          const fill = feature.layer === "pile" || feature.layer === "change";
          const outline = L.polygon(feature.points, { renderer, className, fill, bubblingMouseEvents: false });
          outline.on("click", (event) => tell(feature, event.latlng)).addTo(drawn);
        });
      },
      hide() {
        drawn.clearLayers();
        if (image) image.remove();
        image = null;
        this.year = null;
      },
      sharpen: () => image && sharpen.call(image),
    };
  }

  // Pixels that are shown larger than they are stay what they are: squares.
  function sharpen() {
    const element = this.getElement();
    if (element && element.naturalWidth) {
      const wide = this.getBounds().getEast() - this.getBounds().getWest();
      element.classList.toggle("squares", (Math.pow(2, map.getZoom()) * wide) / element.naturalWidth > 1);
    }
  }

  const left = side("left", find("map-left-said")), right = side("right", find("map-right-said"));
  const look = () => tools.elements.look.value;

  function clip() {
    const size = map.getSize(), from = map.containerPointToLayerPoint([0, 0]), to = map.containerPointToLayerPoint(size);
    const x = from.x + (size.x * split.value) / 100;
    const cut = (a, b) => `polygon(${a}px ${from.y}px, ${b}px ${from.y}px, ${b}px ${to.y}px, ${a}px ${to.y}px)`;
    left.pane.style.clipPath = swipe.checked ? cut(from.x, x) : "";
    right.pane.style.clipPath = swipe.checked ? cut(x, to.x) : "";
    divider.style.left = split.value + "%";
  }

  function draw() {
    const one = data.years[slider.value];
    slider.setAttribute("aria-valuetext", one.year + (data.images.true[one.year] ? "" : ", no image"));
    find("map-year-said").textContent = one.year;
    right.show(one.year, look());
    if (swipe.checked) left.show(Number(other.value), look());
    else left.hide();
    other.disabled = !swipe.checked;
    for (const element of [split, divider, find("map-left-said")]) element.hidden = !swipe.checked;
    const beside = swipe.checked ? ` Left: ${other.value}. Right: ${one.year}.` : "";
    const none = data.images.true[one.year] ? "" : " There is no image of this year.";
    find("map-said").textContent = `${one.year}: ${one.said}.${none}${beside}`;
    clip();
  }

  // --- pop-ups ---

  let opener = null;

  function content(what) {
    const node = document.createElement("div"), title = document.createElement("h3"), list = document.createElement("dl");
    node.className = "told";
    node.tabIndex = -1;
    title.textContent = what.title;
    node.append(title);
    if (what.verdict && what.verdict[0]) {
      const badge = document.createElement("span");
      badge.className = "verdict " + what.verdict[0];
      badge.textContent = what.verdict[1];
      node.append(badge);
    }
    for (const [name, number] of what.rows) {
      const row = document.createElement("div"), term = document.createElement("dt"), said = document.createElement("dd");
      term.textContent = name;
      said.textContent = number;
      row.append(...(name ? [term, said] : [said]));
      list.append(row);
    }
    const ways = document.createElement("p");
    ways.className = "ways";
    for (const [words, address] of what.links) {
      const link = document.createElement("a");
      link.href = "#" + encodeURI(address);
      link.textContent = words;
      ways.append(link, " ");
    }
    node.append(list, ways);
    return node;
  }

  function tell(what, at) {
    const node = content(what);
    L.popup({ maxWidth: 280, minWidth: 180, autoPanPadding: [12, 12] }).setLatLng(at).setContent(node).openOn(map);
    return node;
  }

  function toYear(year) {
    const place = years.indexOf(year);
    if (place >= 0) slider.value = place;
  }

  function show(key) {
    const target = data.targets[key], feature = byKey.get(key), what = target || feature;
    if (!what) return;
    if (what.years && what.years.length) toYear(what.years[what.years.length - 1]);
    if (target && target.years.length > 1 && years.includes(target.years[0])) other.value = target.years[0];
    if (feature) layers.filter((one) => one.value === feature.layer).forEach((one) => { one.checked = true; });
    draw();
    const bounds = target ? box(target.box) : L.polygon(feature.points).getBounds();
    map.fitBounds(feature ? bounds.pad(1.5) : bounds, { maxZoom: 0.5 });
    const at = target ? target.at && [target.at[1], target.at[0]] : bounds.getCenter();
    tell(what, at || bounds.getCenter()).focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[data-at]");
    if (!link) return;
    // Not by the address alone: the browser would then take the keyboard away from the pop-up.
    event.preventDefault();
    if (location.hash !== "#map") history.pushState(null, "", "#map");
    find("map").scrollIntoView();
    opener = link;
    show(link.dataset.at);
  });
  map.on("popupclose", () => {
    // The keyboard, which was in the pop-up, goes on where it came from.
    if (opener && document.activeElement === document.body) opener.focus();
    opener = null;
  });

  // --- controls ---

  slider.max = years.length - 1;
  toYear(data.newest === null ? years[years.length - 1] : data.newest);
  for (const year of years) {
    const mark = document.createElement("option");
    mark.value = years.indexOf(year);
    find("map-year-marks").append(mark);
    other.add(new Option(year + (data.images.true[year] ? "" : " (no image)"), year, year === data.baseline, year === data.baseline));
  }
  tools.addEventListener("input", draw);
  tools.addEventListener("submit", (event) => event.preventDefault());
  find("map-legend").addEventListener("input", draw);
  find("map-whole").addEventListener("click", () => map.fitBounds(whole));
  split.addEventListener("input", clip);
  L.DomEvent.disableClickPropagation(split);
  map.on("move zoom resize viewreset", clip);
  map.on("zoomend", () => { left.sharpen(); right.sharpen(); });
  map.getContainer().addEventListener("keydown", (event) => {
    if (event.key === "Escape") map.closePopup();
  });
  addEventListener("resize", () => map.invalidateSize());
  frame.classList.add("ready");
  draw();
  performance.mark("map-ready");
})();
