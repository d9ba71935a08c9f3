import { Link, useLocation } from "wouter";
import { Title } from "../../parts/layout.tsx";

const places = [
  ["/admin", "Types and queue"],
  ["/admin/users", "Users"],
  ["/admin/deliveries", "Deliveries"],
  ["/admin/audit", "Audit"],
] as const;

/** The heading of an operator's screen, with the way to the others. */
export function AdminTitle({ title }: { readonly title: string }) {
  const [location] = useLocation();
  return (
    <>
      <Title title={title} />
      <nav className="tabs" aria-label="Operation">
        {places.map(([path, name]) => (
          <Link key={path} href={path} aria-current={location === path ? "page" : undefined}>
            {name}
          </Link>
        ))}
      </nav>
    </>
  );
}
