// The technician's page: the part that changes is fetched anew every two seconds. What
// is unfolded stays so, and what is typed stands in another part.
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
      if (!old.contains(document.activeElement) && getSelection().isCollapsed) old.replaceWith(document.adoptNode(fresh));
      alive = true;
    }
  } catch (e) {
    // said below
  }
  document.getElementById('putus').hidden = alive;
  setTimeout(look, 2000);
}

setTimeout(look, 2000);
