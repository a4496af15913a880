// what would otherwise need inline handlers, which the page's policy forbids
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-review-goes]")) window.location = event.target.value;
  if (event.target.matches("[data-review-submits]")) event.target.form.submit();
});
