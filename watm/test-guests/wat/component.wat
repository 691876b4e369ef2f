;; Is a component, which has no exports of WATM.
(component)
