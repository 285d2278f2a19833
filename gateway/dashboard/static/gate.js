// Asks for the token, if the service wants one.

import { byId, setText } from "./dom.js";
import { forgetToken, keepToken, token } from "./token.js";

export class Gate {
  constructor(onToken) {
    byId("gate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      keepToken(byId("token").value.trim());
      byId("token").value = "";
      setText(byId("gate-fault"), "");
      onToken();
    });
    byId("sign-out").addEventListener("click", () => {
      forgetToken();
      location.reload();
    });
  }

  close() {
    setText(byId("gate-fault"), token() ? "The service does not know this token." : "");
    forgetToken();
    byId("gate").hidden = false;
    byId("figures").hidden = true;
    byId("sign-out").hidden = true;
    byId("token").focus();
  }

  open() {
    byId("gate").hidden = true;
    byId("figures").hidden = false;
    byId("sign-out").hidden = !token();
  }
}
