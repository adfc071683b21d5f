// Fetches the statistics once a second and shows them; the pictures arrive as streams.

const EVERY = 1000; // ms between two requests
const SPAN = 300; // seconds of the chart, at most
const SHOWN = 24; // latest detections on the page
const WHY = { // reasons for which frames are dropped
  late: "skipped because a newer frame of the camera was waiting",
  behind: "skipped while reading, to catch up with the camera",
  stride: "skipped because of capture.stride",
};

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en"); // as toFixed writes decimals
const cards = new Map(); // camera name: its card
const items = new Map(); // detected object: its item
const MOVING = 4; // cameras with a live stream: a browser has six connections per host, and each stream takes one
let moving = MOVING; // fewer if other windows of the page need them
let calm = 0; // looks without trouble since then
let patience = 60; // looks until one more is tried: twice as many after each failure
let round = 0; // counts how often the streams had to be requested again

function make(kind, properties = {}, ...children) {
  const node = Object.assign(document.createElement(kind), properties);
  node.append(...children);
  return node;
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function badge(node, text, mood) {
  set(node, text);
  node.className = `badge ${mood}`;
}

function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

const ago = (seconds) => (seconds < 1.5 ? "now" : `${duration(seconds)} ago`);
const decimal = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const milliseconds = (value) => (value === null || value === undefined ? "–" : `${decimal(value)} ms`);
const sum = (values) => values.reduce((a, b) => a + b, 0);

const reasons = (dropped) => Object.keys(dropped).filter((why) => why in WHY).map((why) => `${why}: ${WHY[why]}`).join("; ");

function pairs(node, rows, [outer, first, second] = ["div", "dt", "dd"]) {
  // name, value and an explanation; existing nodes are reused, so that a text selection survives
  rows.forEach(([name, value, title = ""], i) => {
    const row = node.children[i] ?? node.appendChild(make(outer, {}, make(first), " ", make(second)));
    set(row.children[0], name);
    set(row.children[1], value);
    if (row.title !== title) row.title = title;
  });
  while (node.children.length > rows.length) node.lastChild.remove();
}

function card(name) {
  if (!cards.has(name)) {
    const image = make("img", { alt: `Picture of ${name}` });
    image.addEventListener("error", () => { image.dataset.shown = ""; }); // requested again at the next update
    const parts = {
      image, returns: 0, notice: make("p"), badge: make("span", { className: "badge" }), facts: make("p", { className: "facts" }),
    };
    parts.link = make("a", { target: "_blank", title: "this picture alone" }, image);
    parts.view = make("div", { className: "view" }, parts.link, parts.notice);
    parts.node = make("article", { className: "camera" },
      parts.view, make("header", {}, make("h2", { textContent: name, title: name }), parts.badge), parts.facts);
    parts.node.dataset.name = name;
    $("cameras").append(parts.node);
    cards.set(name, parts);
  }
  return cards.get(name);
}

const here = (address) => address.slice(1); // relative: a proxy may show the page below a path of its own

function show(image, address) {
  if (image.dataset.shown === address) return;
  image.dataset.shown = address;
  image.src = here(address);
}

function showPicture(image, camera, place, round) {
  if (!camera.picture) return;
  if (document.hidden) show(image, `${camera.picture}?hidden`); // one still picture, which also ends the stream
  else if (place < moving) show(image, `${camera.stream}?round=${round}`);
  else if (image.complete || !image.dataset.shown.startsWith(camera.picture)) show(image, `${camera.picture}?at=${Date.now()}`);
}

function freeConnections() {
  // Another window of the page may have taken what is left of the browser's connections.
  moving = Math.floor(moving / 2);
  [calm, patience] = [0, 2 * patience];
  for (const { image } of cards.values()) {
    image.removeAttribute("src"); // ends the stream
    image.dataset.shown = "";
  }
}

function showCamera(camera, place) {
  const parts = card(camera.name);
  if (camera.stream && parts.link.getAttribute("href") !== here(camera.stream)) parts.link.href = here(camera.stream);
  const { node, image, view, notice, badge: sign, facts } = parts;
  badge(sign, camera.state, camera.away ? "bad" : camera.state === "ended" ? "" : "good");
  const wasDim = node.classList.contains("away");
  const isDim = node.classList.toggle("away", camera.state !== "connected" || !camera.picture);
  if (wasDim && !isDim) parts.returns += 1; // a proxy may have ended the stream meanwhile, without any event
  const since = camera.last_frame_s === null ? "no picture yet" : `no frame for ${duration(camera.last_frame_s)}`;
  set(notice, camera.problem && camera.away ? `${since}: ${camera.problem}` : since);
  if (camera.size) view.style.aspectRatio = `${camera.size[0]} / ${camera.size[1]}`;
  showPicture(image, camera, place, round + parts.returns);
  const dropped = Object.entries(camera.dropped ?? {});
  const rows = [["frames/s", decimal(camera.fps)], ["read", number.format(camera.read ?? 0)]];
  if (camera.lag_ms) rows.push(["lag p50", milliseconds(camera.lag_ms.p50)], ["p95", milliseconds(camera.lag_ms.p95)]);
  if (camera.live) rows.push(["reconnects", number.format(camera.reconnects)]);
  if (camera.corrupt) rows.push(["corrupt", number.format(camera.corrupt)]);
  rows.push(["dropped", dropped.length ? dropped.map(([why, n]) => `${number.format(n)} ${why}`).join(", ") : "0", reasons(camera.dropped ?? {})]);
  pairs(facts, rows, ["span", "span", "b"]);
}

function removeOthers(cameras) {
  const names = new Set(cameras.map((camera) => camera.name));
  for (const [name, { node, image }] of cards) {
    if (names.has(name)) continue;
    image.removeAttribute("src"); // ends the stream
    node.remove();
    cards.delete(name);
  }
}

function showStages(stats) {
  set($("slowest"), `last ${duration(stats.now.seconds)}, bottleneck: ${stats.now.bottleneck}`);
  const busy = stats.now.stages.map((now) => now.busy);
  const slowest = busy.indexOf(Math.max(...busy));
  const rows = stats.now.stages.map((now, i) => {
    const row = $("stages").children[i] ?? $("stages").appendChild(make("tr", {},
      make("td"), make("td", {}, make("span", { className: "bar" }, make("i")), make("span")), make("td"), make("td"), make("td")));
    const [name, work, fps, queue, p95] = row.children;
    row.className = i === slowest ? "slowest" : "";
    set(name, now.name);
    name.title = now.name; // a long one is cut short
    work.title = "share of the time spent working";
    set(work.lastChild, `${Math.round(now.busy * 100)} %`);
    work.querySelector("i").style.width = `${now.busy * 100}%`;
    set(fps, decimal(now.fps));
    set(queue, String(now.queue));
    set(p95, milliseconds(stats.stages[i].p95_ms));
    return row;
  });
  while ($("stages").children.length > rows.length) $("stages").lastChild.remove();
}

function showLedger(ledger) {
  const rows = [["read", ledger.read], ["finished", ledger.finished], ["corrupt packets", ledger.corrupt]];
  for (const [why, count] of Object.entries(ledger.dropped)) rows.push([`dropped: ${why}`, count]);
  pairs($("ledger"), rows.map(([name, count]) => [name, number.format(count)]), ["li", "span", "b"]);
  set($("reasons"), reasons(ledger.dropped));
}

function showChart(history, now) {
  const labels = Object.entries(history.labels).sort((a, b) => sum(b[1].detections) - sum(a[1].detections));
  const totals = history.at.map((at, i) => (now - at < SPAN ? sum(labels.map(([, label]) => label.in_view[i])) : 0));
  const top = niceTop(Math.max(1, ...totals));
  const span = Math.min(SPAN, Math.max(60, now - (history.at[0] ?? now)));
  const svg = $("chart");
  svg.setAttribute("viewBox", `0 0 ${span} ${top}`);
  set($("oldest"), `${duration(span)} ago`);
  const bars = [];
  history.at.forEach((at, i) => {
    const x = span - (now - at);
    let y = top;
    for (const [, label] of labels) {
      const height = label.in_view[i];
      if (!height) continue;
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      y -= height;
      for (const [name, value] of Object.entries({ x, y, width: history.seconds * 0.9, height, fill: label.colour }))
        bar.setAttribute(name, value);
      bars.push(bar);
    }
  });
  svg.replaceChildren(...bars);
  $("scale").replaceChildren(...[1, 0.5].map((share) => {
    const line = make("li", { textContent: String(top * share) });
    line.style.top = `${(1 - share) * 100}%`;
    return line;
  }));
  const isShown = (count, i) => count >= 0.05 && now - history.at[i] < span; // less than that reads 0.0
  const isOver = now - history.at.at(-1) > 2 * history.seconds; // no frame has come since
  const seen = labels.filter(([, label]) => label.in_view.some(isShown));
  pairs($("legend"), seen.map(([name, label]) => [name, decimal(isOver ? 0 : label.in_view.at(-1))]), ["li", "span", "b"]);
  seen.forEach(([, label], i) => $("legend").children[i].style.setProperty("--mark", label.colour));
}

function niceTop(value) {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((n) => n * step).find((n) => n >= value);
}

function showDetections(detections, now, several) {
  const wanted = detections.slice(0, SHOWN);
  // An object with a track keeps its place, and its old picture until the new one has loaded.
  const key = (found) => (found.track === null ? found.id : `${found.source}#${found.track}`);
  const nodes = wanted.map((found) => {
    if (!items.has(key(found))) {
      const thumb = make("div", { className: "thumb" }, make("img", { alt: "" }));
      if (found.crop) thumb.append(make("img", { alt: "", className: "crop", title: "the classifier's input" }));
      items.set(key(found), make("li", {}, thumb, make("strong"), make("span"), make("span")));
    }
    const item = items.get(key(found));
    const [thumb] = item.children;
    show(thumb.firstChild, found.thumbnail);
    if (thumb.children[1] && found.crop) show(thumb.children[1], found.crop);
    thumb.style.setProperty("--mark", found.colour);
    const score = found.label ? found.label_score : found.score;
    set(item.children[1], `${found.label || `${found.kind} ?`} ${score.toFixed(2)}`);
    set(item.children[2], `${found.track === null ? "" : `#${found.track}, `}${ago(now - Date.parse(found.at) / 1000)}`);
    set(item.children[3], several ? found.source : "");
    item.title = `${found.source}, frame ${found.frame}, ${found.time.toFixed(1)} s`;
    return item;
  });
  const list = $("detections");
  if (nodes.some((node, i) => list.children[i] !== node) || list.children.length !== nodes.length) list.replaceChildren(...nodes);
  const keys = new Set(wanted.map(key));
  for (const old of items.keys()) if (!keys.has(old)) items.delete(old);
}

function showState(stats) {
  const away = stats.cameras.filter((camera) => camera.away).length;
  if (!away && stats.problems.length) badge($("state"), stats.problems.length === 1 ? "a problem" : `${stats.problems.length} problems`, "warn");
  else if (!away) badge($("state"), "running", "good");
  else badge($("state"), `${away} of ${stats.cameras.length} cameras offline`, away < stats.cameras.length ? "warn" : "bad");
  set($("problems"), stats.problems.join("; "));
  document.title = away ? `${away} of ${stats.cameras.length} offline - vidclf` : "vidclf";
  const figures = [["frames/s", decimal(stats.now.fps)]];
  if (stats.lag_ms) figures.push(["lag p95", milliseconds(stats.lag_ms.p95)]);
  figures.push(["detections", number.format(stats.detections)], ["running for", duration(stats.wall_s)]);
  pairs($("figures"), figures);
}

async function ask(address) {
  const answer = await fetch(address, { signal: AbortSignal.timeout(5000) });
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

let lost = false;
let next = 0; // the timer of the next look
async function look() {
  clearTimeout(next);
  try {
    const [stats, detections] = await Promise.all([ask("api/stats"), ask("api/detections")]);
    if (lost) round += 1; // another run: its pictures need new connections
    calm += 1;
    if (moving < MOVING && calm % patience === 0) moving += 1;
    lost = false;
    showState(stats);
    removeOthers(stats.cameras);
    let streams = 0; // a camera without a picture takes none
    for (const camera of stats.cameras) showCamera(camera, camera.picture && !camera.away ? streams++ : moving);
    showStages(stats);
    showLedger(stats.ledger);
    showChart(stats.history, stats.now.at);
    showDetections(detections, stats.now.at, stats.cameras.length > 1);
  } catch (error) {
    lost = true;
    if (error.name === "TimeoutError") freeConnections();
    badge($("state"), "vidclf is not responding", "bad");
    for (const { node, notice, badge: sign } of cards.values()) {
      node.classList.add("away");
      set(notice, "no connection");
      badge(sign, "unknown", "");
    }
    console.warn(error);
  }
  clearTimeout(next); // of a look that began meanwhile
  next = setTimeout(look, document.hidden ? 5 * EVERY : EVERY);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  [round, moving] = [round + 1, MOVING];
  look();
});
look();
