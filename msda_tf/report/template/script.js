"use strict";
(() => {
  // Images: one choice and one slider for all of them.
  const toolbar = document.querySelector(".toolbar:not(#sides)");
  if (toolbar) {
    const key = toolbar.querySelector(".change-key");
    const show = () => {
      const chosen = toolbar.querySelector("input[name=view]:checked");
      const view = Number(chosen.value);
      for (const shot of document.querySelectorAll(".shot")) {
        shot.querySelectorAll(".layer").forEach((layer, index) => { layer.hidden = index !== view; });
        for (const score of shot.querySelectorAll("[data-layer]")) {
          score.classList.toggle("shown", Number(score.dataset.layer) === view);
        }
      }
      if (key) key.hidden = chosen.nextElementSibling.textContent !== "Changes";
    };
    const blend = document.getElementById("blend");
    const fade = () => document.documentElement.style.setProperty("--blend", blend.value / 100);
    toolbar.addEventListener("submit", (event) => event.preventDefault());
    toolbar.addEventListener("change", show);
    blend.addEventListener("input", fade);
    show();
    fade();
  }

  // Two runs side by side: what either side shows, and where the border is.
  const sides = document.getElementById("sides");
  if (sides) {
    const [left, right, cut] = ["left", "right", "cut"].map((id) => document.getElementById(id));
    const show = () => {
      for (const stage of document.querySelectorAll(".stage")) {
        stage.querySelectorAll(".side").forEach((image, index) => {
          image.classList.toggle("left", index === left.selectedIndex);
          image.classList.toggle("right", index === right.selectedIndex);
        });
      }
    };
    const move = () => document.documentElement.style.setProperty("--cut", `${cut.value}%`);
    sides.addEventListener("submit", (event) => event.preventDefault());
    sides.addEventListener("change", show);
    cut.addEventListener("input", move);
    show();
    move();
  }

  // Confusion: the matrix of one branch at a time, and its cells in words.
  const select = document.getElementById("heat-select");
  const maps = [...document.querySelectorAll(".heat-map")];
  if (select) select.addEventListener("change", () => {
    maps.forEach((map, index) => { map.hidden = index !== select.selectedIndex; });
  });
  for (const map of maps) {
    const chart = map.querySelector(".heat");
    const readout = map.querySelector(".readout");
    const cells = [...chart.querySelectorAll("rect")];
    const count = Number(chart.dataset.count);
    const names = [...chart.querySelectorAll("text[transform]")].map((text) => text.textContent);
    let here = -1;
    const point = (index) => {
      if (here >= 0) cells[here].classList.remove("here");
      here = index;
      cells[here].classList.add("here");
      const share = `${(100 * cells[here].dataset.share).toFixed(1)} %`;
      const truth = names[Math.floor(here / count)];
      const taken = names[here % count];
      readout.textContent = truth === taken ? `${share} of ${truth} is recognised` : `${share} of ${truth} is taken for ${taken}`;
    };
    chart.addEventListener("pointerover", (event) => {
      const index = cells.indexOf(event.target);
      if (index >= 0) point(index);
    });
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -count, ArrowDown: count }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = here < 0 ? 0 : here + step;
      const sameRow = Math.abs(step) > 1 || here < 0 || Math.floor(next / count) === Math.floor(here / count);
      if (next >= 0 && next < cells.length && sameRow) point(next);
    });
  }
  document.documentElement.dataset.ready = "yes";
})();
