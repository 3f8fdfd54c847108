// Columns that sort, best first; rows for comparison (floors) keep out of the ranking and stay at the end.
const number = (cell) => parseFloat(cell.textContent.replaceAll(",", ""));

function compare(one, other, text, sign) {
  if (text) return sign * one.textContent.localeCompare(other.textContent, "en", { numeric: true });
  const [a, b] = [number(one), number(other)];
  return isNaN(a) || isNaN(b) ? isNaN(a) - isNaN(b) : sign * (a - b);
}

function sortable(table) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button"), text = head.classList.contains("text");
    const best = head.textContent.includes("↑") || !(text || head.textContent.includes("↓")) ? "descending" : "ascending";
    button.append(...head.childNodes);
    button.title = "Sort by this column";
    head.append(button);
    button.onclick = () => {
      const turned = best === "ascending" ? "descending" : "ascending";
      const order = { [best]: turned, [turned]: null }[head.getAttribute("aria-sort")];
      const now = order === undefined ? best : order;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (now) head.setAttribute("aria-sort", now);
      body.classList.toggle("sorted", Boolean(now));
      const sign = now === "ascending" ? 1 : -1, quiet = (row) => row.classList.contains("quiet");
      const sorted = (a, b) => quiet(a) - quiet(b) || compare(a.cells[place], b.cells[place], text, sign);
      body.append(...(now ? rows.toSorted(sorted) : rows));
    };
  });
}

// A shadow where a table goes on beyond its frame; the second name column sticks beside the first.
function measure(frame) {
  const scroll = frame.firstElementChild, first = frame.querySelector("td.name");
  frame.classList.toggle("more", scroll.scrollLeft + scroll.clientWidth < scroll.scrollWidth - 2);
  if (first) frame.style.setProperty("--first", `${first.getBoundingClientRect().width}px`);
}

function framed(frame) {
  const again = () => measure(frame);
  frame.firstElementChild.addEventListener("scroll", again, { passive: true });
  new ResizeObserver(again).observe(frame.querySelector("table"));
  new ResizeObserver(again).observe(frame);
}

// What an address names is shown, folded or not.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  if (target) target.scrollIntoView();
}

document.querySelectorAll("table").forEach(sortable);
document.querySelectorAll(".frame").forEach(framed);
addEventListener("hashchange", unfold);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
if (location.hash) unfold();
