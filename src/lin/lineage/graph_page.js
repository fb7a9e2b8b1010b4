"use strict";
// The graph can be dragged, zoomed, searched and walked. Foreign text goes into the page as text only.
(() => {
  const { nodes, edges, root, size: [WIDTH, HEIGHT] } = JSON.parse(document.getElementById("data").textContent);
  const get = (id) => document.getElementById(id);
  const [stage, picture, view, panel, search, found] = ["stage", "picture", "view", "panel", "search", "found"].map(get);
  const cards = [...get("nodes").children], lines = [...get("edges").children], rows = [...get("rows").children];
  const whole = picture.getAttribute("viewBox").split(" ").map(Number);
  const into = nodes.map(() => []), outOf = nodes.map(() => []);
  edges.forEach(([source, target], number) => { outOf[source].push(number); into[target].push(number); });

  const LEAST = 0.02, MOST = 3, READABLE = 0.55;
  let x = 0, y = 0, zoom = 1;
  let chosen = null, hits = [], hit = -1;
  const off = new Set();
  const isShown = (node) => !off.has(nodes[node].kind);

  // ---- where one looks

  function look(newX, newY, newZoom = zoom) {
    [x, y, zoom] = [newX, newY, newZoom];
    view.setAttribute("transform", `translate(${x} ${y}) scale(${zoom})`);
    picture.classList.toggle("far", zoom < 0.5);
    picture.classList.toggle("farther", zoom < 0.22);
  }

  function zoomBy(factor, atX = stage.clientWidth / 2, atY = stage.clientHeight / 2) {
    const to = Math.min(MOST, Math.max(LEAST, zoom * factor)), by = to / zoom;
    look(atX - (atX - x) * by, atY - (atY - y) * by, to);
  }

  function fit() {
    const shown = nodes.filter((node) => !off.has(node.kind));
    if (!shown.length) return;
    const left = Math.min(...shown.map((node) => node.x)), right = Math.max(...shown.map((node) => node.x)) + WIDTH;
    const top = Math.min(...shown.map((node) => node.y)), bottom = Math.max(...shown.map((node) => node.y)) + HEIGHT;
    const room = [stage.clientWidth - 40, stage.clientHeight - 40];
    const to = Math.max(LEAST, Math.min(1.2, room[0] / (right - left), room[1] / (bottom - top)));
    look((stage.clientWidth - (left + right) * to) / 2, (stage.clientHeight - (top + bottom) * to) / 2, to);
  }

  function centre(node, across = 0.5) {
    const to = Math.max(zoom, 0.75), { x: left, y: top } = nodes[node];
    const half = (WIDTH / 2) * to + 16;
    const place = Math.min(Math.max(stage.clientWidth * across, half), Math.max(stage.clientWidth - half, half));
    look(place - (left + WIDTH / 2) * to, stage.clientHeight / 2 - (top + HEIGHT / 2) * to, to);
  }

  function bringIntoView(node) {  // by a small step where one will do
    const by = [[nodes[node].x * zoom + x, WIDTH * zoom, stage.clientWidth], [nodes[node].y * zoom + y, HEIGHT * zoom, stage.clientHeight]]
      .map(([at, size, room]) => Math.max(24 - at, 0) + Math.min(room - 24 - size - at, 0));
    if (zoom < 0.3 || Math.hypot(...by) > 2.5 * WIDTH * zoom) centre(node);
    else look(x + by[0], y + by[1]);
  }

  function begin() {  // the whole, or what was asked about where that would be too small to read
    fit();
    if (zoom >= READABLE) return;
    zoom = 0.8;
    centre(root, nodes[root].x > whole[2] / 2 ? 0.8 : 0.2);
    look(keep(x, whole[2] * zoom, stage.clientWidth), keep(y, whole[3] * zoom, stage.clientHeight));
  }

  function keep(at, length, room) {  // no more emptiness than there must be
    return length < room ? (room - length) / 2 : Math.min(0, Math.max(room - length, at));
  }

  // ---- what is chosen

  function reach(start, ways, end) {
    const seen = new Set([start]), waiting = [start];
    while (waiting.length)
      for (const number of ways[waiting.pop()])
        if (!seen.has(edges[number][end])) { seen.add(edges[number][end]); waiting.push(edges[number][end]); }
    return seen;
  }

  function choose(node) {
    chosen = node;
    const before = node === null ? new Set() : reach(node, into, 0), after = node === null ? new Set() : reach(node, outOf, 1);
    picture.classList.toggle("choosing", node !== null);
    cards.forEach((card, number) => {
      card.classList.toggle("chosen", number === node);
      card.classList.toggle("up", number !== node && before.has(number));
      card.classList.toggle("down", number !== node && after.has(number));
      card.setAttribute("tabindex", number === (node ?? root) ? "0" : "-1");
      rows[number].classList.toggle("chosen", number === node);
    });
    lines.forEach((line, number) => {
      line.classList.toggle("up", before.has(edges[number][1]));
      line.classList.toggle("down", after.has(edges[number][0]));
    });
    panel.hidden = node === null;
    if (node !== null) tell(node, before.size - 1, after.size - 1);
  }

  function go(node) {  // as a link does: the browser's way back works
    if (node === null ? location.hash.length > 1 : location.hash !== `#n${node}`) location.hash = node === null ? "" : `n${node}`;
    if (node !== null && !isShown(node)) filter(get("legend").querySelector(`[data-kind="${nodes[node].kind}"]`));
    if (chosen !== node) choose(node);
    if (node !== null && !stage.hidden) bringIntoView(node);
  }

  function readAddress() {
    const node = /^#n\d+$/.test(location.hash) ? Number(location.hash.slice(2)) : null;
    return node !== null && node < nodes.length ? node : null;
  }

  // ---- what is told of it

  function make(tag, text = "", name = "") {
    const element = document.createElement(tag);
    element.textContent = text;
    if (name) element.className = name;
    return element;
  }

  function sign(kind) {
    return get("legend").querySelector(`[data-kind="${kind}"] .sign`).cloneNode(true);
  }

  function tell(node, before, after) {
    const { kind, name, detail, live } = nodes[node];
    const said = make("p", "", "kind");
    said.append(sign(kind), `${kind}${node === root ? ", asked about" : ""}`);
    const head = make("div", "", "head"), close = make("button", "×");
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => { go(null); cards[node].focus(); });
    head.append(said, close);
    const title = make("h2", name);
    title.dir = "auto";
    panel.replaceChildren(head, title);
    for (const stage of live) panel.append(make("span", `● ${stage}`, "badge-live"), " ");
    if (detail) panel.append(make("p", detail));
    panel.append(make("p", `${before} before it, ${after} after it`, "how"));
    list("← Made from", "up-mark", into[node], 0);
    list("→ Made from it", "down-mark", outOf[node], 1);
    panel.scrollTop = 0;
  }

  function list(title, mark, numbers, end) {
    panel.append(make("h3", `${title} (${numbers.length})`, mark));
    if (!numbers.length) { panel.append(make("p", "nothing that is shown here", "how")); return; }
    const items = make("ul");
    for (const number of numbers) {
      const other = edges[number][end], { kind, name, live } = nodes[other];
      const item = make("li"), link = make("a", name);
      link.href = `#n${other}`;
      item.append(sign(kind), " ", link, " ", make("span", [edges[number][2], ...live.map((each) => `● ${each}`)].filter(Boolean).join(" · "), "how"));
      items.append(item);
    }
    panel.append(items);
  }

  // ---- search

  function find() {
    const words = search.value.trim().toLowerCase();
    const says = ({ kind, name, detail, live }) => [kind, name, detail, ...live].join("\n").toLowerCase().includes(words);
    hits = words ? nodes.map((_, number) => number).filter((number) => isShown(number) && says(nodes[number])) : [];
    hit = -1;
    const among = new Set(hits);
    cards.forEach((card, number) => card.classList.toggle("hit", among.has(number)));
    rows.forEach((row, number) => row.classList.toggle("hit", among.has(number)));
    count();
  }

  function count() {
    found.textContent = search.value.trim() ? (hit < 0 ? `${hits.length} found` : `${hit + 1} of ${hits.length}`) : "";
  }

  function next(step) {
    if (!hits.length) return;
    hit = hit < 0 && step < 0 ? hits.length - 1 : (hit + step + hits.length) % hits.length;
    count();
    go(hits[hit]);
    search.focus({ preventScroll: true });  // a new address took it away
    if (stage.hidden) rows[hits[hit]].scrollIntoView({ block: "center" });
  }

  // ---- filter, table

  function filter(button) {
    const kind = button.dataset.kind, isOn = off.has(kind);
    if (isOn) off.delete(kind); else off.add(kind);
    button.setAttribute("aria-pressed", String(isOn));
    cards.forEach((card, number) => { card.classList.toggle("off", !isShown(number)); rows[number].classList.toggle("off", !isShown(number)); });
    lines.forEach((line, number) => line.classList.toggle("off", !isShown(edges[number][0]) || !isShown(edges[number][1])));
    if (chosen !== null && !isShown(chosen)) go(null);
    find();
  }

  function showTable(isTable) {
    stage.hidden = isTable;
    get("things").hidden = !isTable;
    get("as-table").setAttribute("aria-pressed", String(isTable));
  }

  // ---- keys

  function step(key) {
    if (chosen === null) return isShown(root) ? root : nodes.findIndex((_, number) => isShown(number));
    const ways = { ArrowLeft: [into, 0], ArrowRight: [outOf, 1] }[key];
    if (ways) {
      const others = ways[0][chosen].map((number) => edges[number][ways[1]]).filter((node) => isShown(node) && node !== chosen);
      const distance = (node) => Math.abs(nodes[node].y - nodes[chosen].y);
      return others.sort((a, b) => distance(a) - distance(b))[0] ?? chosen;
    }
    const down = key === "ArrowDown" ? 1 : -1;
    const column = nodes.map((_, number) => number).filter((number) => isShown(number) && nodes[number].x === nodes[chosen].x)
      .sort((a, b) => nodes[a].y - nodes[b].y);
    return column[column.indexOf(chosen) + down] ?? chosen;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = event.target === search;
    if (event.key === "Escape") {
      if (search.value) { search.value = ""; find(); } else go(null);
      if (isTyping) search.blur();
    } else if (isTyping) {
      if (event.key === "Enter") next(event.shiftKey ? -1 : 1); else return;
    } else if (event.key === "/") { search.focus(); search.select(); }
    else if (stage.hidden) return;
    else if (event.key === "+" || event.key === "=") zoomBy(1.25);
    else if (event.key === "-") zoomBy(0.8);
    else if (event.key === "0") fit();
    else if (event.key === "Home" && !panel.contains(event.target)) { go(root); cards[root].focus({ preventScroll: true }); }
    else if (event.key.startsWith("Arrow") && !panel.contains(event.target)) {
      const node = step(event.key);
      if (node < 0) return;
      go(node);
      cards[node].focus({ preventScroll: true });
    } else return;
    event.preventDefault();
  });

  // ---- mouse and fingers

  const fingers = new Map();
  let start = null, hasMoved = false;
  const place = (event) => { const box = stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const spread = () => { const [[ax, ay], [bx, by]] = fingers.values(); return [(ax + bx) / 2, (ay + by) / 2, Math.hypot(ax - bx, ay - by)]; };

  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!fingers.size) hasMoved = false;
    fingers.set(event.pointerId, place(event));
    start = place(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const [oldX, oldY] = fingers.get(event.pointerId), [newX, newY] = place(event);
    if (!hasMoved && Math.hypot(newX - start[0], newY - start[1]) < 5) return;
    hasMoved = true;
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragging");
    if (fingers.size === 2) {
      const [fromX, fromY, from] = spread();
      fingers.set(event.pointerId, [newX, newY]);
      const [toX, toY, to] = spread();
      look(x + toX - fromX, y + toY - fromY);
      zoomBy(to / Math.max(from, 1), toX, toY);
    } else {
      fingers.set(event.pointerId, [newX, newY]);
      if (fingers.size === 1) look(x + newX - oldX, y + newY - oldY);
    }
  });
  for (const end of ["pointerup", "pointercancel"])
    addEventListener(end, (event) => { fingers.delete(event.pointerId); if (!fingers.size) stage.classList.remove("dragging"); });
  stage.addEventListener("click", (event) => {
    const card = event.target.closest?.(".node");
    if (hasMoved || card) event.preventDefault();
    if (hasMoved) return;
    go(card ? cards.indexOf(card) : null);
  });
  stage.addEventListener("dragstart", (event) => event.preventDefault());
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaY * [1, 16, stage.clientHeight][event.deltaMode];
    zoomBy(Math.exp(-Math.max(-300, Math.min(300, pixels)) / 400), ...place(event));
  }, { passive: false });

  get("closer").addEventListener("click", () => zoomBy(1.25));
  get("farther").addEventListener("click", () => zoomBy(0.8));
  get("fit").addEventListener("click", fit);
  get("as-table").addEventListener("click", () => showTable(!stage.hidden));
  search.addEventListener("input", find);
  get("legend").addEventListener("click", (event) => { const button = event.target.closest("button"); if (button) filter(button); });
  addEventListener("hashchange", () => {
    const node = readAddress(), isNews = node !== chosen;
    go(node);
    if (isNews && node !== null && !stage.hidden) cards[node].focus({ preventScroll: true });
  });

  // ---- paper shows the whole

  function frame(isWhole) {
    if (isWhole) { picture.setAttribute("viewBox", whole.join(" ")); view.removeAttribute("transform"); }
    else { picture.removeAttribute("viewBox"); look(x, y); }
  }
  addEventListener("beforeprint", () => frame(true));
  addEventListener("afterprint", () => frame(false));

  document.body.classList.add("alive");
  for (const name of ["width", "height"]) picture.removeAttribute(name);
  for (const element of document.querySelectorAll("[data-alive]")) element.hidden = false;
  for (const button of get("legend").querySelectorAll("button")) button.disabled = false;
  showTable(false);
  choose(null);
  frame(false);
  begin();
  if (readAddress() !== null) { choose(readAddress()); centre(chosen); }
})();
