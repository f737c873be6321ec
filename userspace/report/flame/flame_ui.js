// SPDX-License-Identifier: GPL-2.0-only
/*
 * What people do with the graph: zoom, search, keys, the bar, the tooltip, the address.
 *
 * All that is chosen is in `state`, and `state` is in the address behind '#', so that a view can be sent to somebody else, and
 * the browser's Back undoes a zoom.
 */
"use strict";
(() => {
	const { ROW, PAD, svg, data, element, nameOf } = flame;
	const LINE = 19, LINES_MAX = 3, XHTML = "http://www.w3.org/1999/xhtml";
	const first = {
		zoom: 0, q: "", case: 0, theme: "", sort: data.sort,
		inverted: data.inverted, reverse: data.reversed, threads: data.threads,
	};
	const state = Object.assign({}, first);
	let drawn = null, hits = null, focused = 0, pattern = null, badPattern = false, top0 = 0, barHeight = 0, written = null;

	function html(name, properties, ...children) {
		const e = document.createElementNS(XHTML, name);
		for (const key in properties)
			if (key === "class" || key.includes("-") || key === "role")
				e.setAttribute(key, properties[key]);
			else
				e[key] = properties[key];
		e.append(...children);
		return e;
	}

	/* ---- numbers, as report/units.c writes them ---- */

	function time(ns) {
		if (ns < 1000)
			return `${ns} ns`;
		if (ns >= 999.5e6)
			return `${(ns / 1e9).toFixed(3)} s`;
		const value = ns / (ns < 999500 ? 1e3 : 1e6);
		return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ${ns < 999500 ? "us" : "ms"}`;
	}

	const grouped = n => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
	const counted = (n, one) => `${grouped(n)} ${one}${n === 1 ? "" : "s"}`;
	const amount = n => (data.unit === "ns" ? time(n) : counted(n, "sample"));

	function percent(part, whole) {
		const value = whole ? 100 * part / whole : 0;
		if (!part || part === whole)
			return part && whole ? "100 %" : "0 %";
		return value < 0.01 ? "<0.01 %" : value >= 99.95 && value < 100 ? ">99.9 %" : `${value.toFixed(value < 0.995 ? 2 : 1)} %`;
	}

	/* ---- what is said of a frame ---- */

	function facts(i) {
		const v = flame.view(viewNumber()), all = v.value[0], lines = [];
		if (flame.isGone(v, i)) {
			lines.push(`vanished: ${amount(v.before[i])} before, none now`);
			return lines;
		}
		lines.push(`${amount(v.value[i])}, ${percent(v.value[i], all)} of all`);
		if (state.zoom && i > state.zoom)
			lines.push(`${percent(v.value[i], v.value[state.zoom])} of the zoomed frame`);
		if (v.count && v.count[i])
			lines.push(counted(v.count[i], data.counted));
		if (v.before) {
			const delta = v.value[i] - v.before[i];
			lines.push(`${amount(v.before[i])} before, ${percent(v.before[i], v.before[0])} of all; ` +
				(delta ? `${delta > 0 ? "+" : "−"}${amount(Math.abs(delta))}` : "no change"));
			if (v.width[i] > v.value[i])
				lines.push(`hatched: ${amount(v.width[i] - v.value[i])} below it that vanished`);
		}
		return lines;
	}

	const KINDS = ["user", "kernel", "Python", "inlined", "waiting", "thread", "no frame"];

	function label(i) {
		const v = flame.view(viewNumber()), f = v.frame[i];
		const kind = f >= 0 && i ? `, ${KINDS[f & 7]}` : "";
		return `${nameOf(v, i)}${kind}, ${facts(i).join(", ")}`;
	}

	/* ---- drawing ---- */

	const viewNumber = () => data.views.findIndex(v => v.reversed === +state.reverse && v.threads === (data.hasThreads ? +state.threads : 0));

	function compile() {
		pattern = null;
		badPattern = false;
		try {
			if (state.q)
				pattern = new RegExp(state.q, +state.case ? "u" : "iu");
		} catch (e) {
			try {
				pattern = new RegExp(state.q, +state.case ? "" : "i");
			} catch (e2) {
				badPattern = true;
			}
		}
	}

	function width() {
		return data.fixed ? data.width : Math.max(320, Math.floor(svg.getBoundingClientRect().width));
	}

	/* A text in lines of so many characters, broken at blanks where there are any. */
	function wrap(text, columns) {
		const lines = [];
		while (text.length > columns && lines.length < LINES_MAX - 1) {
			const blank = text.lastIndexOf(" ", columns);
			lines.push(text.slice(0, blank > columns / 2 ? blank : columns));
			text = text.slice(lines[lines.length - 1].length).trimStart();
		}
		return [...lines, text];
	}

	/* The heading in this width: what is too long goes on below, and the rest of it moves down. Returns where it ends. */
	function layHeading(w) {
		let down = 0, x = PAD;
		for (const e of body.querySelectorAll(":scope > text, :scope > rect")) {
			e.dataset.y = e.dataset.y || e.getAttribute("y");
			if (e.localName === "rect") { // of the legend, with its word behind it
				const word = e.nextElementSibling, taken = 34 + 7 * word.textContent.length;
				if (x > PAD && x + taken - 16 > w) {
					x = PAD;
					down += LINE;
				}
				e.setAttribute("x", x);
				word.setAttribute("x", x + 18);
				x += taken;
			}
			e.setAttribute("y", +e.dataset.y + down);
			if (!e.dataset.text)
				continue;
			const cell = e.classList.contains("title") ? 9.5 : 7, columns = Math.floor((w - 2 * PAD) / cell);
			e.replaceChildren();
			wrap(e.dataset.text, columns).forEach((line, i) => {
				element("tspan", { x: PAD, dy: i ? LINE : 0 }, e).textContent = flame.fit(line, (columns + 1) * cell + 6, cell);
				down += i ? LINE : 0;
			});
			x = PAD;
		}
		graph.setAttribute("transform", `translate(0,${data.top + down})`);
		return data.top + down;
	}

	/* The bar in this width: in a narrow one its buttons take more than a row. Returns its height. */
	function layBar(w) {
		barBox.setAttribute("width", w);
		barBox.setAttribute("height", 400);
		barHeight = Math.ceil(bar.getBoundingClientRect().height) + 2;
		barBox.setAttribute("height", barHeight);
		body.setAttribute("transform", `translate(0,${barHeight})`);
		return barHeight;
	}

	function redraw() {
		const number = viewNumber(), v = flame.view(number), had = document.activeElement && document.activeElement.closest && document.activeElement.closest("g.f");
		state.zoom = state.zoom > 0 && state.zoom < v.nr && v.frame[state.zoom] >= 0 ? +state.zoom : 0;
		const found = pattern ? flame.search(v, pattern, state.zoom) : null;
		hits = found && found.hits;
		const shown = { view: number, byValue: state.sort === "value", inverted: +state.inverted, zoom: state.zoom, hits, label };
		let w = width();
		say(found, v);
		for (let turn = 0; turn < 2; turn++) { // the second if a scroll bar came or went
			top0 = layBar(w) + layHeading(w);
			drawn = flame.draw(shown, graph, w);
			svg.setAttribute("height", Math.max(top0 + drawn.height + PAD, document.documentElement.clientHeight || 0, innerHeight - 4));
			if (width() === w)
				break;
			w = width();
		}
		setFocus(drawn.frames.has(focused) ? focused : state.zoom, had);
		for (const [name, on] of [["case", +state.case], ["inverted", +state.inverted], ["reverse", +state.reverse], ["sort", state.sort === "value"], ["threads", +state.threads]])
			buttons[name].setAttribute("aria-pressed", on ? "true" : "false");
		buttons.out.disabled = !state.zoom;
		if (input.value !== state.q && document.activeElement !== input)
			input.value = state.q;
	}

	/* Before the bar is laid: it is as high as that makes it. */
	function say(found, v) {
		status.className = badPattern ? "bad" : "";
		if (badPattern)
			status.textContent = "not a regular expression";
		else if (found)
			status.textContent = `matched ${percent(found.value, v.value[0])} of all` +
				(state.zoom ? `, ${percent(found.value, v.value[state.zoom])} of the zoomed frame` : "");
		else
			status.textContent = state.zoom ? `${nameOf(v, state.zoom)}: ${percent(v.value[state.zoom], v.value[0])} of all` : "";
	}

	const frameElement = i => graph.querySelector(`g.f[data-i="${i}"]`);

	function setFocus(i, really) {
		const old = frameElement(focused), now = frameElement(i);
		if (old)
			old.setAttribute("tabindex", "-1");
		focused = i;
		if (!now)
			return;
		now.setAttribute("tabindex", "0");
		if (really)
			now.focus({ preventScroll: true }); // moveTo() scrolls
	}

	/* To a frame by a key: with its tooltip. */
	function moveTo(i) {
		setFocus(i, true);
		const at = drawn.frames.get(i);
		frameElement(i).scrollIntoView({ block: "nearest" });
		showTip(i, at.x, top0 + at.y + ROW - 12);
	}

	/* ---- the address ---- */

	function write(push) {
		const p = new URLSearchParams();
		for (const key in first)
			if (String(state[key]) !== String(first[key]))
				p.set(key, state[key]);
		const hash = "#" + p;
		if (hash === (location.hash || "#"))
			return;
		written = hash;
		if (push)
			location.hash = hash;
		else
			location.replace(hash);
	}

	function read() {
		if (location.hash === written)
			return;
		written = location.hash;
		const p = new URLSearchParams(location.hash.slice(1));
		Object.assign(state, first);
		for (const [key, value] of p)
			if (Object.hasOwn(first, key))
				state[key] = typeof first[key] === "string" ? value : key === "zoom" ? parseInt(value, 10) || 0 : value === "1" ? 1 : 0;
		compile();
		theme();
		redraw();
	}

	function change(what, push) {
		Object.assign(state, what);
		compile();
		theme();
		redraw();
		write(push);
	}

	/* ---- light and dark: the one rule of the style sheet that is for dark ---- */

	const systemDark = matchMedia("(prefers-color-scheme: dark)");
	const darkRule = Array.from(document.styleSheets).flatMap(s => Array.from(s.cssRules)).find(r => r.media && /prefers-color-scheme/.test(r.media.mediaText));
	const isDark = () => (state.theme ? state.theme === "dark" : systemDark.matches);

	function theme() {
		darkRule.media.mediaText = state.theme === "dark" ? "all" : state.theme === "light" ? "not all" : "(prefers-color-scheme: dark)";
		document.documentElement.style.background = isDark() ? "#17191c" : "#ffffff";
		buttons.theme.textContent = isDark() ? "Light" : "Dark";
	}

	/* ---- zoom, focus, search ---- */

	function zoomTo(i) {
		if (drawn.v.frame[i] < 0)
			return;
		focused = i;
		tipBox.style.display = "none";
		change({ zoom: i }, true);
	}

	function turn(key, value) {
		const away = scrollY + innerHeight < top0 + drawn.height; // the root is below what is seen
		focused = 0;
		change({ [key]: value === undefined ? +!+state[key] : value, zoom: key === "reverse" || key === "threads" ? 0 : state.zoom }, false);
		if (!away || key === "inverted")
			toRoot();
	}

	function toRoot() {
		scrollTo(0, +state.inverted ? 0 : Math.max(0, top0 + drawn.height + PAD - innerHeight));
	}

	function step(key) {
		const v = drawn.v, out = key === (+state.inverted ? "ArrowUp" : "ArrowDown");
		let to = -1;
		if (key === "ArrowLeft" || key === "ArrowRight") {
			const row = drawn.rows[v.depth[focused]] || [];
			to = row[row.indexOf(focused) + (key === "ArrowRight" ? 1 : -1)];
		} else if (out) {
			to = v.parent[focused];
		} else {
			for (const c of v.children.get(focused) || [])
				if (drawn.frames.has(c) && (to < 0 || drawn.frames.get(c).w > drawn.frames.get(to).w))
					to = c;
		}
		if (to >= 0 && drawn.frames.has(to))
			moveTo(to);
	}

	/* The next frame on the screen that matches. */
	function nextHit(by) {
		const list = hits ? Array.from(drawn.frames.keys()).filter(i => hits.has(i)).sort((a, b) => a - b) : [];
		if (!list.length)
			return;
		const next = by > 0 ? list.find(i => i > focused) : list.filter(i => i < focused).pop();
		moveTo(next === undefined ? list[by > 0 ? 0 : list.length - 1] : next);
	}

	function escape() {
		if (helpBox.style.display !== "none")
			showHelp(false);
		else if (document.activeElement === input)
			leaveInput();
		else if (state.zoom)
			zoomTo(0);
		else if (state.q)
			change({ q: "" }, false);
		tipBox.style.display = "none";
	}

	function leaveInput() {
		input.blur();
		setFocus(focused, true);
	}

	const keys = {
		"/": () => { input.focus(); input.select(); },
		"?": () => showHelp(helpBox.style.display === "none"),
		Escape: escape,
		Home: () => zoomTo(0),
		Backspace: () => state.zoom && zoomTo(Math.max(0, drawn.v.parent[state.zoom])),
		n: () => nextHit(1), N: () => nextHit(-1),
		c: () => turn("case"), i: () => turn("inverted"), r: () => turn("reverse"),
		t: () => data.hasThreads && turn("threads"),
		s: () => turn("sort", state.sort === "value" ? "name" : "value"),
		d: () => turn("theme", isDark() ? "light" : "dark"),
	};

	function onKey(e) {
		if (e.ctrlKey || e.altKey || e.metaKey)
			return;
		const inBar = e.target.closest && e.target.closest(".bar");
		if (e.target === input) {
			if (e.key === "Escape" || e.key === "Enter")
				leaveInput();
			return;
		}
		if (inBar && (e.key === "Enter" || e.key === " "))
			return; // a button's own
		if (e.key.startsWith("Arrow"))
			step(e.key);
		else if (e.key === "Enter" || e.key === " ")
			zoomTo(focused);
		else if (keys[e.key])
			keys[e.key]();
		else
			return;
		e.preventDefault();
	}

	/* ---- the tooltip: beside the pointer, or below the frame that has the focus ---- */

	function showTip(i, x, y) {
		tip.replaceChildren(html("b", {}, nameOf(drawn.v, i)), ...facts(i).map(line => html("div", {}, line)));
		tipBox.style.display = "";
		tipBox.setAttribute("width", 520);
		const box = tip.getBoundingClientRect(), w = width();
		const bottom = scrollY + innerHeight;
		tipBox.setAttribute("x", Math.max(2, Math.min(x + 12, w - box.width - 4)));
		tipBox.setAttribute("y", y + 16 + box.height > bottom ? Math.max(scrollY, y - box.height - 10) : y + 16);
		tipBox.setAttribute("width", Math.ceil(box.width) + 6);
		tipBox.setAttribute("height", Math.ceil(box.height) + 6);
	}

	const boxOf = e => e.target.closest && e.target.closest("g.f");

	function onMove(e) {
		const g = boxOf(e), origin = svg.getBoundingClientRect();
		if (g)
			showTip(+g.dataset.i, e.clientX - origin.left, e.clientY - origin.top);
		else
			tipBox.style.display = "none";
	}

	function onFocus(e) {
		const g = boxOf(e);
		if (g && +g.dataset.i !== focused)
			setFocus(+g.dataset.i, false);
	}

	/* ---- the page ---- */

	function panel(name, child) {
		const box = element("foreignObject", { class: name + "-box", x: 0, y: 0, width: 520, height: 400 }, svg);
		child.classList.add("panel", name);
		box.appendChild(child);
		return box;
	}

	function button(name, text, key, title, act) {
		buttons[name] = html("button", { type: "button", title: `${title} (key: ${key})`, "aria-keyshortcuts": key, onclick: act }, text);
		return buttons[name];
	}

	function makeHelp() {
		const rows = [
			["click, Enter", "zoom into a frame"], ["Esc", "back to all; closes this; ends a search"],
			["Backspace, Home", "zoom out by one; to all"], ["arrows", "to the frame above, below, left, right"],
			["/", "search, by a regular expression"], ["n, N", "next and previous match"], ["c", "upper and lower case differ"],
			["i", "icicle: from top to bottom"], ["r", "reverse: who called it, from the innermost frame on"],
			["s", "siblings by name or by value"], ["d", "dark or light"], ["?", "these keys"],
		];
		if (data.hasThreads)
			rows.splice(9, 0, ["t", "each thread apart, or all merged"]);
		return html("div", { role: "dialog", "aria-label": "keys", "tabindex": "-1" }, html("h2", {}, "Keys"),
			html("table", {}, ...rows.map(([k, what]) => html("tr", {}, html("th", { scope: "row" }, k), html("td", {}, what)))));
	}

	function showHelp(on) {
		helpBox.style.display = on ? "" : "none";
		if (!on)
			return setFocus(focused, true);
		helpBox.setAttribute("width", Math.min(480, width()));
		helpBox.setAttribute("x", Math.max(0, (width() - 480) / 2));
		helpBox.setAttribute("y", scrollY + barHeight + 12);
		help.focus();
	}

	function onScroll() {
		barBox.setAttribute("y", Math.max(0, scrollY));
	}

	const buttons = {};
	const graph = document.getElementById("flame-graph"), body = document.getElementById("flame-body");
	const input = html("input", {
		type: "search", placeholder: "search ( / )", spellcheck: false, "aria-label": "search, a regular expression", "aria-keyshortcuts": "/",
		oninput: () => change({ q: input.value }, false),
	});
	const status = html("output", { role: "status", "aria-live": "polite" });
	const bar = html("div", { role: "toolbar", "aria-label": "flame graph" }, input,
		button("case", "Aa", "c", "upper and lower case differ", () => turn("case")),
		button("out", "Zoom out", "Escape", "back to all", () => zoomTo(0)),
		button("inverted", "Icicle", "i", "from top to bottom", () => turn("inverted")),
		button("reverse", "Reverse", "r", "who called it: from the innermost frame on", () => turn("reverse")),
		button("sort", "By value", "s", "siblings by value, not by name", keys.s),
		button("threads", "Threads", "t", "each thread apart", keys.t),
		button("theme", "Dark", "d", "dark or light", keys.d),
		button("help", "Keys", "?", "what the keys do", keys["?"]), status);
	buttons.threads.hidden = !data.hasThreads;
	const tip = html("div", { role: "tooltip" }), help = makeHelp();
	const barBox = panel("bar", bar), tipBox = panel("tip", tip), helpBox = panel("help", help);
	tipBox.style.display = helpBox.style.display = "none";
	tipBox.style.pointerEvents = "none";

	svg.removeAttribute("viewBox");
	svg.setAttribute("width", data.fixed ? data.width : "100%");
	svg.setAttribute("role", "group");
	graph.setAttribute("role", "tree");
	graph.setAttribute("aria-label", data.title);
	graph.addEventListener("click", e => { const g = boxOf(e); if (g) zoomTo(+g.dataset.i); });
	document.addEventListener("focusin", onFocus); // on the graph itself it would make that a stop for Tab
	svg.addEventListener("mousemove", onMove);
	svg.addEventListener("mouseleave", () => { tipBox.style.display = "none"; });
	document.addEventListener("keydown", onKey);
	systemDark.addEventListener("change", () => { theme(); });
	addEventListener("hashchange", read);
	addEventListener("scroll", onScroll);
	addEventListener("resize", redraw);
	read(); // stays at the top, where the title and what is to be said of the graph are
	svg.dataset.ready = "1";
})();
