// SPDX-License-Identifier: GPL-2.0-only
/*
 * The graph: reads the data that is in the file and draws the frames that can be seen. flame_ui.js has what people do with it.
 *
 * A view is parallel arrays, a box each, outer before inner ones (see flame_layout.h): frame (name * 8 + kind; negative: so many
 * smaller frames), depth, value, and where they apply width, count, before. Only boxes of a pixel or more become elements;
 * narrower ones are strips, one path for each kind.
 */
"use strict";
const flame = (() => {
	const ROW = 18, PAD = 10, CELL = 7.25, LEAST = 1, GAP = 0.6;
	const svg = document.querySelector("svg.flame"), NS = svg.namespaceURI;
	const data = JSON.parse(document.getElementById("flame-data").textContent);
	const views = [];

	function element(name, attributes, parent) {
		const e = document.createElementNS(NS, name);
		for (const key in attributes)
			e.setAttribute(key, attributes[key]);
		if (parent)
			parent.appendChild(e);
		return e;
	}

	function readView(number) {
		const v = JSON.parse(document.getElementById("flame-view-" + number).textContent);
		const nr = v.frame.length, last = [];
		v.nr = nr;
		v.width = v.width || v.value;
		v.parent = new Int32Array(nr).fill(-1);
		v.end = new Int32Array(nr); // behind the last box below it
		v.at = new Float64Array(nr);
		v.children = new Map();
		for (let i = 0; i < nr; i++) {
			const d = v.depth[i];
			for (let j = d; j < last.length; j++)
				v.end[last[j]] = i;
			last.length = d;
			last.push(i);
			if (d) {
				const p = v.parent[i] = last[d - 1];
				if (v.children.has(p))
					v.children.get(p).push(i);
				else
					v.children.set(p, [i]);
			}
		}
		last.forEach(i => { v.end[i] = nr; });
		return v;
	}

	const isGone = (v, i) => v.before !== undefined && !v.value[i] && v.before[i] > 0;
	const nameOf = (v, i) => v.frame[i] < 0 ? `(${-v.frame[i]} smaller)` :
		v.depth[i] ? data.names[v.frame[i] >> 3] : "all";

	/* Where each box begins: siblings in order of name or of width; what vanished and what was merged stay last. */
	function place(v, byValue) {
		if (v.byValue === byValue)
			return;
		v.byValue = byValue;
		const text = data.names;
		const last = i => (v.frame[i] < 0 ? 2 : isGone(v, i) ? 1 : 0);
		const byName = (a, b) => {
			const x = text[v.frame[a] >> 3], y = text[v.frame[b] >> 3];
			return x < y ? -1 : x > y ? 1 : v.frame[a] - v.frame[b];
		};
		for (const [parent, list] of v.children) {
			list.sort((a, b) => last(a) - last(b) || (byValue ? v.width[b] - v.width[a] : 0) || byName(a, b));
			let at = v.at[parent];
			for (const i of list) {
				v.at[i] = at;
				at += v.width[i];
			}
		}
	}

	function view(number) {
		if (!views[number])
			views[number] = readView(number);
		return views[number];
	}

	/* How a box changed, in classes of the square root of its share of all: small changes are to be seen, too. */
	function change(v, i) {
		if (isGone(v, i))
			return "gone";
		const delta = v.value[i] - v.before[i], all = Math.max(v.value[0], v.before[0]);
		const level = Math.min(4, Math.ceil(Math.sqrt(Math.abs(delta) / all) * 8));
		return Math.abs(delta) * 1000 < all ? "same" : (delta > 0 ? "grew" : "shrank") + level;
	}

	function classOf(v, i) {
		if (v.before)
			return change(v, i);
		return v.frame[i] < 0 || !v.depth[i] ? "k6" : `k${v.frame[i] & 7} v${(v.frame[i] >> 3) % 3}`;
	}

	/* What fits of a text into so many pixels; characters from U+1100 on are taken for two wide. */
	function fit(text, pixels, cell = CELL) {
		let used = 0, out = "";
		const cells = Math.floor((pixels - 6) / cell);
		if (cells < 3)
			return "";
		for (const c of text) {
			used += c.codePointAt(0) >= 0x1100 && c.codePointAt(0) !== 0x2026 ? 2 : 1;
			if (used > cells) {
				while (used > cells - 1 && out) {
					const chars = Array.from(out);
					used -= chars.pop().codePointAt(0) >= 0x1100 ? 2 : 1;
					out = chars.join("");
				}
				return out + "…";
			}
			out += c;
		}
		return out;
	}

	/* Draws what `shown` says: {view, byValue, inverted, zoom, hits, label(i)}; returns what is on the screen. */
	function draw(shown, group, width) {
		const v = view(shown.view), z = shown.zoom, zoomed = shown.zoom > 0;
		place(v, shown.byValue);
		const scale = (width - 2 * PAD) / (v.width[z] || 1), left = v.at[z], right = left + v.width[z];
		const rows = [], frames = new Map(), strips = new Map(), marks = [];
		const seen = [];
		let deepest = 0;
		for (let a = z; a >= 0; a = v.parent[a])
			seen.push(a);
		seen.reverse();
		for (let i = z + 1; i < v.end[z]; i++) {
			if (v.width[i] * scale * 10 < 1 && v.frame[i] >= 0) {
				i = v.end[i] - 1;
				continue;
			}
			seen.push(i);
		}
		for (const i of seen)
			deepest = Math.max(deepest, v.depth[i]);
		const yOf = i => (shown.inverted ? v.depth[i] : deepest - v.depth[i]) * ROW;
		const put = document.createDocumentFragment();
		for (const i of seen) {
			const x0 = Math.max(left, v.at[i]), x1 = Math.min(right, v.at[i] + v.width[i]);
			const x = PAD + (x0 - left) * scale, w = (x1 - x0) * scale, d = v.depth[i];
			if (w >= LEAST || i === 0) {
				frames.set(i, { x, w, y: yOf(i) });
				(rows[d] = rows[d] || []).push(i);
				put.appendChild(frame(v, i, frames.get(i), shown, scale, i < z));
			} else if (w > 0) {
				const mark = marks[d] || (marks[d] = new Uint8Array(2 * width + 2));
				if (mark[Math.floor(2 * x)]++)
					continue;
				const kind = shown.hits && shown.hits.has(i) ? "hit" : classOf(v, i);
				strips.set(kind, (strips.get(kind) || "") + `M${x.toFixed(1)} ${yOf(i)}h${Math.max(w, 0.4).toFixed(1)}v${ROW - 1}h${-Math.max(w, 0.4).toFixed(1)}z`);
			}
		}
		for (const row of rows)
			row.sort((a, b) => v.at[a] - v.at[b]);
		group.replaceChildren();
		for (const [kind, d] of strips)
			element("path", { class: kind, d, "aria-hidden": "true" }, group);
		group.appendChild(put);
		return { v, frames, rows, height: (deepest + 1) * ROW, zoomed };
	}

	/* One frame: its box, what of it vanished (at its right), its text. */
	function frame(v, i, at, shown, scale, outer) {
		const hit = shown.hits && shown.hits.has(i);
		const g = element("g", {
			class: "f" + (outer ? " outer" : "") + (hit ? " hit" : ""), "data-i": i, tabindex: "-1",
			role: "treeitem", "aria-level": v.depth[i] + 1, "aria-label": shown.label(i),
		});
		const solid = isGone(v, i) || v.width === v.value ? at.w : Math.min(at.w, v.value[i] * scale);
		const thin = isGone(v, i) && at.w < 4 ? " thin" : "";
		element("rect", { class: "box " + classOf(v, i) + thin, x: at.x.toFixed(2), y: at.y, width: (solid > 3 ? solid - GAP : solid).toFixed(2), height: ROW - 1, rx: 1.5 }, g);
		if (at.w - solid > 0.05)
			element("rect", { class: at.w - solid < 4 ? "gone thin" : "gone", x: (at.x + solid).toFixed(2), y: at.y, width: (at.w - solid).toFixed(2), height: ROW - 1 }, g);
		const text = fit(nameOf(v, i), solid < 40 ? at.w : solid);
		if (text)
			element("text", { x: (at.x + 3).toFixed(2), y: at.y + 13 }, g).textContent = text;
		return g;
	}

	/* Which boxes match, and how much of everything they are: what is within another match counts once. */
	function search(v, pattern, from) {
		const named = data.names.map(name => pattern.test(name)), hits = new Set();
		let value = 0, covered = 0;
		for (let i = 1; i < v.nr; i++) {
			if (v.frame[i] < 0 || !named[v.frame[i] >> 3])
				continue;
			hits.add(i);
			if (i < covered || i < from || i >= v.end[from])
				continue;
			value += v.value[i];
			covered = v.end[i];
		}
		for (let a = from; a > 0; a = v.parent[a]) // the zoomed frame is within a match
			if (hits.has(a))
				value = v.value[from];
		return { hits, value };
	}

	return { ROW, PAD, NS, svg, data, element, view, place, draw, fit, search, nameOf, isGone };
})();
