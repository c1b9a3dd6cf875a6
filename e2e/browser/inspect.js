(() => {
	const faults = [];
	const all = selector => [...document.querySelectorAll(selector)];
	const name = e => `<${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}${e.className ? "." + e.className : ""}> "${(e.innerText || e.value || "").trim().slice(0, 40)}"`;

	if (all("h1").length !== 1) faults.push(`${all("h1").length} headings of the first level`);
	if (!/^\S.* · Xenoauth$/.test(document.title)) faults.push(`title "${document.title}"`);
	if (!document.documentElement.lang) faults.push("no language");
	const over = document.scrollingElement.scrollWidth - innerWidth;
	if (over > 0) {
		const wide = all("main *").filter(e => e.getBoundingClientRect().right > innerWidth).map(name);
		faults.push(`${over} pixels too wide: ${wide.slice(0, 3)}`);
	}

	for (const e of all("input:not([type=hidden]), select, textarea")) {
		const label = e.getAttribute("aria-label") || [...e.labels].map(l => l.innerText).join(" ");
		if (!label.trim()) faults.push(`no label: ${name(e)}`);
	}
	const ids = all("[id]").map(e => e.id);
	for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) faults.push(`id ${id} is there twice`);
	const wanted = [
		...all("[aria-describedby]").flatMap(e => e.getAttribute("aria-describedby").trim().split(/\s+/)),
		...all("label[for]").map(e => e.htmlFor),
		...all("a[href^='#']").map(e => e.getAttribute("href").slice(1)),
	];
	for (const id of wanted) if (!document.getElementById(id)) faults.push(`nothing has the id ${id} that is referred to`);

	// Contrast as WCAG 2 defines it. Colours are opaque or laid over what is behind them.
	const parse = text => {
		const m = text.match(/[\d.]+/g).map(Number);
		return { rgb: m.slice(0, 3), alpha: m.length > 3 ? m[3] : 1 };
	};
	const over2 = (top, below) => top.rgb.map((c, i) => c * top.alpha + below[i] * (1 - top.alpha));
	const behind = e => {
		const layers = [];
		for (let at = e; at; at = at.parentElement) {
			const layer = parse(getComputedStyle(at).backgroundColor);
			if (layer.alpha > 0) layers.push(layer);
			if (layer.alpha === 1) break;
		}
		return layers.reverse().reduce((below, layer) => over2(layer, below), [255, 255, 255]);
	};
	const luminance = rgb => {
		const [r, g, b] = rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const seen = new Set();
	for (const e of all("body *")) {
		const writes = [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.textContent.trim()) || e.matches("input:not([type=hidden], [type=radio], [type=checkbox])");
		const box = e.getBoundingClientRect(), style = getComputedStyle(e);
		if (!writes || box.width < 2 || box.height < 2 || style.visibility === "hidden" || e.matches("option")) continue;
		const back = behind(e);
		const [light, dark] = [luminance(over2(parse(style.color), back)), luminance(back)].sort((a, b) => b - a);
		const contrast = (light + 0.05) / (dark + 0.05);
		const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		const key = style.color + back;
		if (contrast < (large ? 3 : 4.5) && !seen.has(key)) {
			seen.add(key);
			faults.push(`contrast ${contrast.toFixed(2)} of ${style.color} on ${back}: ${name(e)}`);
		}
	}
	return faults;
})()
