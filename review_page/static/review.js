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
document.querySelectorAll("[data-review-shows-help]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());
});
// the library's list puts the cursor into its search field, where letters are text
window.addEventListener("load", () => {
  const field = document.activeElement;
  if (field?.matches('.review-filters [name="q"]') && field.value === field.defaultValue) field.blur();
});
