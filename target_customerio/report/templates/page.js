"use strict";

// People: ten at a time, and those that a search finds.
const list = document.getElementById("list");
if (list) {
  const size = 10;
  const people = Array.from(list.children, (element) => ({ element, text: null }));
  const search = document.getElementById("search");
  const status = document.getElementById("status");
  const buttons = { previous: -1, next: 1 };
  let found = people;
  let page = 0;

  const show = () => {
    const start = page * size;
    const end = Math.min(start + size, found.length);
    const shown = new Set(found.slice(start, end));
    for (const each of people) {
      each.element.hidden = !shown.has(each);
    }
    status.textContent = found.length
      ? `${start + 1} to ${end} of ${found.length}`
      : "Nobody found";
    document.getElementById("previous").disabled = page === 0;
    document.getElementById("next").disabled = end === found.length;
  };

  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = people.filter((each) => {
      each.text ??= each.element.textContent.toLowerCase();
      return words.every((word) => each.text.includes(word));
    });
    page = 0;
    show();
  });
  for (const [name, step] of Object.entries(buttons)) {
    document.getElementById(name).addEventListener("click", () => {
      page += step;
      show();
      list.scrollIntoView({ block: "nearest" });
    });
  }
  document.querySelector(".finder").hidden = false;
  document.querySelector(".pager").hidden = people.length <= size;
  show();
}

// On paper everything is open.
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details:not([open])")) {
    each.open = true;
    each.dataset.printed = "";
  }
});
addEventListener("afterprint", () => {
  for (const each of document.querySelectorAll("details[data-printed]")) {
    each.open = false;
    delete each.dataset.printed;
  }
});
