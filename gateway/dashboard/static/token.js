// The token of this tab: it ends with it, and no other site can read it.

const KEY = "token";

export const token = () => sessionStorage.getItem(KEY);
export const keepToken = (told) => sessionStorage.setItem(KEY, told);
export const forgetToken = () => sessionStorage.removeItem(KEY);

/** `fetch` in the client's name. */
export function ask(path, options = {}) {
  const held = token();
  const headers = { ...options.headers, ...(held ? { Authorization: `Bearer ${held}` } : {}) };
  return fetch(path, { cache: "no-store", credentials: "same-origin", ...options, headers });
}
