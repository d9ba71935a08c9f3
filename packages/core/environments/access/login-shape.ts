/** Beginnings of the logins of gpu-dev, novita and dev8. Environments of the other APIs admit no key. */
const login = /^(gpu-dev-|inst_|ws-)[\w.-]{1,247}$/;

/** Reports whether an environment may have this SSH user name. Scanners try names of people and of distributions. */
export function isLoginShape(name: string): boolean {
  return login.test(name);
}
