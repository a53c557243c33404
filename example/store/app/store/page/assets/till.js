// The cashier's screen. Talks to the API and keeps only the session's token and the cart on the counter.
const $ = (id) => document.getElementById(id);
const money = (cents) => (cents / 100).toFixed(2);
const cents = (text) => Math.round(Number(text.replace(",", ".")) * 100);

let token = sessionStorage.getItem("token");
let items = [];
let cart = new Map(); // sku -> quantity
let order = null; // one id and one payment key for each cart, so that paying twice sells once

async function api(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const content = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(content.message), { code: content.code });
  return content;
}

async function attempt(work) {
  $("problem").hidden = true;
  try {
    await work();
  } catch (error) {
    if (error.code === "not_signed_in") showSignIn();
    $("problem").textContent = error.message;
    $("problem").hidden = false;
  }
}

function showSignIn() {
  token = null;
  sessionStorage.removeItem("token");
  $("sign-in").hidden = false;
  $("till").hidden = $("sign-out").hidden = true;
  $("who").textContent = "";
}

async function showTill() {
  const session = await api("GET", "/api/session");
  await loadItems();
  newOrder();
  // Shown last: what is scanned before the items are known would be lost without a word.
  $("who").textContent = `${session.cashier} at ${session.terminal}${session.training ? " · TRAINING" : ""}`;
  $("sign-in").hidden = true;
  $("till").hidden = $("sign-out").hidden = false;
}

async function loadItems() {
  items = (await api("GET", "/api/items")).items;
  showItems();
}

function newOrder() {
  cart = new Map();
  order = { id: crypto.randomUUID(), key: `till:${crypto.randomUUID()}` };
  $("pay-form").reset();
  showCart();
  showMethod();
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function showItems() {
  const wanted = $("search").value.trim().toLowerCase();
  const found = items.filter((item) => item.sku.includes(wanted) || item.name.toLowerCase().includes(wanted));
  $("items").replaceChildren(...found.map((item) => {
    const button = element("button", item.name);
    button.append(element("small", `${money(item.price_cents)} · ${item.stock} left${item.restricted ? " · 21+" : ""}`));
    button.type = "button";
    button.disabled = item.stock === 0;
    button.addEventListener("click", () => change(item.sku, +1));
    const entry = element("li");
    entry.append(button);
    return entry;
  }));
}

function change(sku, by) {
  const quantity = (cart.get(sku) ?? 0) + by;
  if (quantity > 0) cart.set(sku, quantity);
  else cart.delete(sku);
  showCart();
}

function showCart() {
  const lines = items.filter((item) => cart.has(item.sku));
  $("lines").replaceChildren(...lines.map((item) => {
    const row = element("tr");
    const less = element("button", "−");
    less.type = "button";
    less.setAttribute("aria-label", `One ${item.name} less`);
    less.addEventListener("click", () => change(item.sku, -1));
    const last = element("td");
    last.append(less);
    const amount = element("td", money(item.price_cents * cart.get(item.sku)), "money");
    row.append(element("td", `${cart.get(item.sku)} ×`), element("td", item.name), amount, last);
    return row;
  }));
  $("total").textContent = money(lines.reduce((sum, item) => sum + item.price_cents * cart.get(item.sku), 0));
  $("age").hidden = !lines.some((item) => item.restricted);
  $("pay").disabled = lines.length === 0;
}

function showMethod() {
  const byCard = $("pay-form").elements.method.value === "card";
  $("card").hidden = !byCard;
  $("tendered").hidden = byCard;
}

async function pay() {
  const form = $("pay-form").elements;
  const payment = { method: form.method.value, idempotency_key: order.key };
  if (payment.method === "card") payment.card = { number: form.card.value.replaceAll(" ", "") };
  else if (form.tendered.value) payment.tendered_cents = cents(form.tendered.value);
  const request = {
    order_id: order.id,
    lines: [...cart].map(([sku, quantity]) => ({ sku, quantity })),
    payment,
  };
  if (!$("age").hidden && form.birth_date.value) {
    request.age_proof = { kind: form.kind.value, birth_date: form.birth_date.value };
  }
  const { receipt } = await api("POST", "/api/sales", request);
  showReceipt(receipt);
  newOrder();
  await loadItems();
}

function showReceipt(receipt) {
  const lines = receipt.lines.map((line) => element("p", `${line.quantity} × ${line.name}  ${money(line.amount_cents)}`));
  const paid = receipt.method === "card" ? `Card ending in ${receipt.card_last4}` : `Cash, change ${money(receipt.change_cents)}`;
  const parts = [
    element("p", new Date(receipt.sold_at).toLocaleString()),
    ...lines,
    element("p", `Total ${money(receipt.total_cents)}`),
    element("p", paid),
    element("small", receipt.order_id),
  ];
  if (receipt.training) parts.unshift(element("p", "TRAINING: NOT A SALE", "training"));
  $("receipt").replaceChildren(...parts);
}

$("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const form = event.target;
    token = null;
    token = (await api("POST", "/api/session", Object.fromEntries(new FormData(form)))).token;
    sessionStorage.setItem("token", token);
    form.elements.pin.value = "";
    await showTill();
  });
});
$("sign-out").addEventListener("click", () => attempt(async () => {
  await api("DELETE", "/api/session");
  showSignIn();
}));
$("search").addEventListener("input", showItems);
$("search").addEventListener("keydown", (event) => {
  // A scanner types the number and presses Enter.
  const scanned = items.find((item) => item.sku === $("search").value.trim().toLowerCase());
  if (event.key !== "Enter" || !scanned) return;
  change(scanned.sku, +1);
  $("search").value = "";
  showItems();
});
$("pay-form").addEventListener("change", showMethod);
$("pay-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(pay);
});

if (token) attempt(showTill);
