// what would otherwise need inline handlers, which the page's policy forbids
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-review-goes]")) window.location = event.target.value;
  if (event.target.matches("[data-review-submits]")) event.target.form.submit();
});
// off this machine the page's cookies need TLS; without it a log-in would be forgotten without a word
if (!window.isSecureContext) document.querySelectorAll("[data-review-insecure]").forEach((notice) => { notice.hidden = false; });

// Keys. Nothing is ever decided by a letter alone: a and r go to the button, and Enter presses it.
const help = document.querySelector("[data-review-help]");
const rows = [...document.querySelectorAll("tr[data-sa-pk] [data-review-open]")];

function goToRow(step) {
  const at = rows.indexOf(document.activeElement);
  const to = at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step;
  if (rows[to]) rows[to].focus();
}

function press(key) {
  const target = document.querySelector(`[data-review-key="${key}"]`);
  if (rows.length && (key === "j" || key === "k")) goToRow(key === "j" ? 1 : -1);
  else if (!target) return false;
  else if (target.matches("a")) target.click();
  else {
    target.closest("details")?.setAttribute("open", "");
    target.focus();
  }
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  const focused = document.activeElement;
  const inField = focused?.matches("input, select, textarea, [contenteditable]");
  if (event.key === "Escape" && inField) focused.blur();
  if (inField || event.repeat || document.querySelector("dialog[open], .modal.show, .dropdown-menu.show")) return;
  if (event.key === "?") help?.showModal();
  else if (!"jkare".includes(event.key) || !press(event.key)) return;
  event.preventDefault();
});
document.querySelectorAll("[data-review-shows-help]").forEach((button) => button.addEventListener("click", () => help.showModal()));

// what works by script only
document.querySelectorAll("[data-review-shows]").forEach((part) => { part.hidden = false; });
document.querySelectorAll("[data-review-colours]").forEach((select) => {
  select.value = chosenColours();
  select.addEventListener("change", () => chooseColours(select.value));
});

// the library's list puts the cursor into its search field some time after it is loaded, where letters are text: only
// who points at the field or tabs into it gets there
const SEARCH = '.review-filters [name="q"]';
let isWanted = false;
document.addEventListener("pointerdown", () => { isWanted = true; }, true);
document.addEventListener("keydown", (event) => { isWanted = event.key === "Tab" || document.activeElement?.matches(SEARCH); }, true);
function leaveSearch(before) {
  if (isWanted || !document.activeElement?.matches(SEARCH)) return;
  document.activeElement.blur();
  before?.focus?.();
}
document.addEventListener("focusin", (event) => leaveSearch(event.relatedTarget));
leaveSearch(null);

// what the selected rows come to; all that match come to what the list says
function showSelection() {
  const shown = document.querySelector("[data-review=selection]");
  const chosen = [...document.querySelectorAll("[data-sa-hook=row-checkbox]:checked")];
  const all = document.querySelector("[data-sa-hook=select-all-banner-all]:not(.d-none)");
  shown.hidden = chosen.length === 0;
  shown.textContent = "Selected: " + (all ? document.querySelector("[data-review=totals]").textContent : comesTo(chosen));
}

function comesTo(chosen) {
  const priced = chosen.map((box) => box.dataset.reviewNano).filter((nano) => nano);
  const jobs = chosen.length === 1 ? "1 job" : `${chosen.length.toLocaleString("en")} jobs`;
  const unpriced = chosen.length - priced.length;
  const rest = unpriced ? `; ${unpriced.toLocaleString("en")} of them without a worst case, which cannot be approved` : "";
  return `${jobs}, at most ${usd(priced.reduce((sum, nano) => sum + BigInt(nano), 0n))} USD${rest}`;
}

// cents, or two digits of what is below ten cents, rounded up, as the page that asks for confirmation writes them
function usd(nano) {
  const places = Math.min(9, Math.max(2, 11 - String(nano).length));
  const [step, unit] = [10n ** BigInt(9 - places), 10n ** BigInt(places)];
  const rounded = (nano + step - 1n) / step;
  const below = String(rounded % unit).padStart(places, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${(rounded / unit).toLocaleString("en")}.${below}`;
}

if (document.querySelector("[data-review=selection]")) {
  // after the library has followed suit
  for (const name of ["change", "click"]) document.addEventListener(name, () => setTimeout(showSelection));
  window.addEventListener("pageshow", () => setTimeout(showSelection));
}
