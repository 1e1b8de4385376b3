"use strict";
// The page is complete without this: it names the points of the maps under the pointer, and opens what is folded for print.
for (const plot of document.querySelectorAll(".plot")) {
  const svg = plot.querySelector("svg"), data = JSON.parse(plot.querySelector("script").textContent);
  const kinds = Object.fromEntries([...plot.closest(".map").querySelectorAll("input")].map((box) => [box.value, box]));
  const tip = plot.appendChild(document.createElement("div")), ring = document.createElementNS(svg.namespaceURI, "circle");
  tip.className = "tip"; tip.hidden = true;
  ring.setAttribute("r", 6); ring.setAttribute("class", "ring"); ring.style.display = "none"; svg.append(ring);
  const hide = () => { tip.hidden = true; ring.style.display = "none"; };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), zoom = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * zoom, y = (event.clientY - box.top) * zoom;
    let best = null, nearest = (14 * zoom) ** 2;
    for (const point of data) {
      const away = (point[0] - x) ** 2 + (point[1] - y) ** 2;
      if (away < nearest && kinds[point[2]].checked) { best = point; nearest = away; }
    }
    if (!best) return hide();
    tip.textContent = best[2] + " " + best[3] + (best[4] ? " · " + best[4] : "") + (best[5] ? " · " + best[5] : "");
    tip.hidden = false;
    ring.setAttribute("cx", best[0]); ring.setAttribute("cy", best[1]); ring.style.display = "";
    const left = best[0] / zoom, top = best[1] / zoom;
    tip.style.left = Math.max(0, Math.min(left + 10, box.width - tip.offsetWidth)) + "px";
    tip.style.top = (top > tip.offsetHeight + 14 ? top - tip.offsetHeight - 12 : top + 14) + "px";
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => { fold.open = true; }));
