// The operator's screen: asks the station twice a second and shows one word a reader.
// What it shows is never older than four seconds: then the cover, which the station's
// answers put off, lies over it.
'use strict';

const shapes = {
  masukkan: 'M50 8V66M26 44 50 68 74 44M12 70V90H88V70',
  tunggu: 'M34 18V82M66 18V82',
  ambil: 'M14 54 40 80 88 24',
  pindai: 'M14 14V86M30 14V86M44 14V86M66 14V86M86 14V86',
  sisihkan: 'M50 6 96 90H4ZM50 36V60M50 75V76',
};
const other = 'M20 20H80V80H20ZM50 34V56M50 66V67'; // of a word that has none of its own
const bins = { ragu: 'KOTAK RAGU', gagal: 'KOTAK GAGAL', tolak: 'KOTAK TOLAK' };
const slipped = { in_doubt: 'RAGU', failed: 'GAGAL' }; // outcomes that a card may come to when it is taken out too soon
const by = (id) => document.getElementById(id);

function putOff() {
  const cover = by('putus');
  cover.classList.remove('armed');
  void cover.offsetWidth; // the animation begins anew only after the style was seen without it
  cover.classList.add('armed');
}

function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function note(r) {
  const of = r.serial ? 'Kartu ' + r.serial : '';
  if (r.stalled) return [of, 'tidak maju; panggil petugas teknis'].filter(Boolean).join(' ');
  if (r.reason) return [of, r.reason].filter(Boolean).join(': ');
  return r.step_label ? [of, r.step_label].filter(Boolean).join(': ') : of;
}

function tile(section, r, held, none) {
  section.className = (shapes[r.word] ? r.word : 'lain') + (r.stalled ? ' macet' : '');
  section.querySelector('path').setAttribute('d', shapes[r.word] || other);
  text(section.querySelector('.word'), r.word.toUpperCase());
  const before = r.state === 'empty' && r.last && slipped[r.last.outcome]; // it may still be in somebody's hand
  text(section.querySelector('.bin'), bins[r.bin] || (before ? 'KARTU TADI: KOTAK ' + before : ''));
  let about = note(r);
  if (r.state === 'empty' && held) about = 'Jangan masukkan kartu';
  else if (r.state === 'empty' && none) about = 'Tidak ada kartu permohonan yang menunggu; kartu yang meragukan dapat dibaca.';
  text(section.querySelector('.note'), before ? ['Kartu tadi: ' + (r.last.serial || 'tanpa nomor seri'), about].filter(Boolean).join('. ') : about);
  text(section.querySelector('.name'), r.name);
}

function show(v) {
  const main = by('pembaca');
  const readers = v.readers.length ? v.readers : [null];
  while (main.children.length > readers.length) main.lastElementChild.remove();
  while (main.children.length < readers.length) main.append(by('ubin').content.cloneNode(true));
  const n = readers.length;
  main.dataset.n = [1, 2, 3, 4, 6].includes(n) ? n : n === 5 ? 6 : 'many';
  const lots = v.day && v.day.held > 0; // wait for people
  const held = !v.standing || v.standing.mode !== 'running' || lots && v.day.held === v.day.waiting;
  const none = v.day && v.day.waiting === 0;
  readers.forEach((r, i) => {
    const section = main.children[i];
    if (r) return tile(section, r, held, none);
    section.className = 'kosong';
    section.querySelector('path').setAttribute('d', 'M14 14H86V86H14ZM30 50H70');
    text(section.querySelector('.word'), 'TIDAK ADA');
    text(section.querySelector('.bin'), '');
    text(section.querySelector('.note'), 'Stasiun tidak menemukan pembaca kartu; panggil petugas teknis.');
    text(section.querySelector('.name'), '');
  });
  const stopped = by('tahan');
  stopped.hidden = !held && !lots;
  if (!v.standing) text(stopped, 'Stasiun belum siap');
  else if (v.standing.mode === 'running') text(stopped, lots ? v.day.held + ' dari ' + v.day.waiting + ' kartu yang menunggu lotnya ditahan; lihat halaman Lot di portal' : '');
  else text(stopped, 'Stasiun ' + v.standing.label.toLowerCase() + ' oleh ' + v.standing.by + ': ' + v.standing.reason + (v.drained ? ' — sudah kosong' : ''));
  text(by('keadaan'), v.alarms.length ? 'Alarm: ' + v.alarms[0].text : '');
  text(by('hari'), v.day ? 'Hari ini ' + v.day.clear + ' berhasil dari ' + v.day.planned + ' kartu' : '');
  text(by('jam'), new Date().toLocaleTimeString('id-ID', { timeZone: 'Asia/Jakarta' }));
}

async function ask() {
  try {
    const answer = await fetch('/api/v1/station?brief=true', { cache: 'no-store', signal: AbortSignal.timeout(2000) });
    if (answer.ok) {
      const v = await answer.json();
      if (v.build !== document.body.dataset.build) {
        location.reload();
        return;
      }
      show(v);
      putOff();
    }
  } catch (e) {
    // No answer: the cover comes by itself.
  }
  setTimeout(ask, 500);
}

ask();
