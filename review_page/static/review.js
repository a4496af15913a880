// what would otherwise need inline handlers, which the page's policy forbids
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-review-goes]")) window.location = event.target.value;
  if (event.target.matches("[data-review-submits]")) event.target.form.submit();
});
// off this machine the page's cookies need TLS; without it a log-in would be forgotten without a word
if (!window.isSecureContext) document.querySelectorAll("[data-review-insecure]").forEach((notice) => { notice.hidden = false; });
