// The technician's page: the part that changes is fetched anew every two seconds. What
// is unfolded stays so, with the focus, and what is typed stands in another part. While
// text of that part is selected, to be copied, it stands still and says so.
'use strict';

async function look() {
  let alive = false;
  try {
    const answer = await fetch('/', { cache: 'no-store', signal: AbortSignal.timeout(3000) });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.getElementById('isi');
      const old = document.getElementById('isi');
      for (const d of old.querySelectorAll('details[open]')) {
        const again = fresh.querySelector('#' + CSS.escape(d.id));
        if (again) again.open = true;
      }
      const marked = getSelection();
      const still = !marked.isCollapsed && (old.contains(marked.anchorNode) || old.contains(marked.focusNode));
      document.getElementById('diam').hidden = !still;
      if (!still) {
        const at = old.contains(document.activeElement) && document.activeElement.closest('details[id]');
        old.replaceWith(document.adoptNode(fresh));
        const again = at && document.getElementById(at.id);
        if (again) again.querySelector('summary').focus({ preventScroll: true });
      }
      alive = true;
    }
  } catch (e) {
    // said below
  }
  document.getElementById('putus').hidden = alive;
  setTimeout(look, 2000);
}

setTimeout(look, 2000);
